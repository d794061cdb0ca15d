// SPDX-License-Identifier: Apache-2.0
// How to read the page, and what it cannot tell.

function aboutPage(data) {
  const chosen = data.only.host || data.only.shared;
  return [
    html("h2", {}, "How to read it"),
    html(
      "p",
      {},
      "A line is a use of a volume by a host, as the kernel of the storage node ",
      "enforces it. Volumes that have the same hosts, in the same way, are one box; ",
      "the number ",
      "in it counts its users. Pick a host or a box to see all that is known of it.",
    ),
    html(
      "dl",
      { class: "keys" },
      html("dt", {}, html("kbd", {}, "/")),
      html("dd", {}, "search; several words must all be found"),
      html("dt", {}, html("kbd", {}, "\u2191\u2193\u2190\u2192")),
      html("dd", {}, "go from one to the next"),
      html("dt", {}, html("kbd", {}, "Enter")),
      html("dd", {}, "pick it"),
      html("dt", {}, html("kbd", {}, "Esc")),
      html("dd", {}, "let go, and show all again"),
    ),
    html("h2", {}, "What it cannot see"),
    html(
      "ul",
      { class: "blind" },
      html(
        "li",
        {},
        "Other storage nodes. This is what ",
        data.back_ends.join(", "),
        " exports",
        chosen ? ", and of that only what was asked for" : "",
        ".",
      ),
      html(
        "li",
        {},
        "Now. Volumes were looked at one after the other when the page was made.",
      ),
      html(
        "li",
        {},
        "Hosts that reach a disk without this target, and what a server does with a ",
        "disk that it has.",
      ),
      html(
        "li",
        {},
        "Exports that belong to no volume. ",
        html("code", {}, "taikun-cinder audit"),
        " tells them.",
      ),
      html(
        "li",
        {},
        "All sessions of a host: the kernel tells the address of the latest.",
      ),
    ),
  ];
}
