// SPDX-License-Identifier: Apache-2.0
// The panel: all that is known of what was picked; or how to read the page.

/** Fill the panel; `act` has what its buttons do. */
function drawPanel(panel, picked, graph, data, act) {
  if (picked?.user) {
    panel.replaceChildren(...aboutUser(picked.user, act));
  } else if (picked?.box) {
    const { volumes } = picked.box;
    panel.replaceChildren(
      ...(volumes.length === 1
        ? aboutVolume(volumes[0], graph.hosts, act)
        : aboutBox(picked.box, act)),
    );
  } else {
    panel.replaceChildren(...aboutPage(data));
  }
}

function facts(...pairs) {
  const list = html("dl");
  for (const [name, value, classes] of pairs) {
    if (value !== "" && value !== undefined) {
      list.append(html("dt", {}, name), html("dd", { class: classes }, value));
    }
  }
  return list;
}

function heading(kindOfThing, name, act) {
  return html(
    "div",
    { class: "top" },
    html("div", {}, html("p", { class: "kind" }, kindOfThing), html("h2", {}, name)),
    html(
      "button",
      {
        type: "button",
        class: "quiet",
        title: "Close (Esc)",
        "aria-label": "Close",
        click: () => act.pick(null),
      },
      "\u00d7",
    ),
  );
}

function aboutUser(user, act) {
  const { host } = user;
  const isServer = user.kind === "server";
  const parts = [
    heading(isServer ? "Server" : "Host", isServer ? user.server : user.label, act),
  ];
  if (host.id === NOBODY) {
    parts.push(
      html(
        "p",
        {},
        "These attachments are reserved, and no host has asked for them yet.",
      ),
    );
  }
  parts.push(
    facts(
      ["Names", host.names.join(", ")],
      ["Initiator", host.initiator, "id"],
      ["Volumes", user.volumes],
    ),
  );
  if (host.id !== NOBODY) {
    parts.push(
      html(
        "p",
        {},
        html(
          "button",
          { type: "button", click: () => act.only(host.id) },
          "Show only the volumes of this host",
        ),
      ),
    );
  }
  parts.push(html("h3", {}, "Shares with"), sharers(user, act));
  parts.push(
    html("h3", {}, "Volumes"),
    html(
      "ul",
      { class: "uses" },
      user.boxes.map((box) => {
        const link = box.links.find((one) => one.user === user);
        return html(
          "li",
          {},
          letter(link),
          boxButton(box, act),
          html("span", { class: "words" }, said(link)),
        );
      }),
    ),
  );
  return parts;
}

/** List who else uses what a user uses, those with most of it first. */
function sharers(user, act) {
  const found = new Map();
  for (const box of user.boxes) {
    for (const link of box.links) {
      if (link.user !== user && link.user.id !== NOBODY) {
        found.set(link.user, (found.get(link.user) ?? 0) + box.volumes.length);
      }
    }
  }
  if (found.size === 0) {
    return html("p", { class: "words" }, "nobody, of what is shown");
  }
  const most = [...found].sort(
    (one, other) => other[1] - one[1] || names.compare(one[0].label, other[0].label),
  );
  return html(
    "ul",
    { class: "uses" },
    most.map(([other, shared]) =>
      html(
        "li",
        {},
        html(
          "button",
          { type: "button", class: "link", click: () => act.pick(other.id) },
          other.label,
        ),
        html("span", { class: "words" }, counted(shared, "volume")),
      ),
    ),
  );
}

function boxButton(box, act) {
  return html(
    "button",
    {
      type: "button",
      class: "link id",
      click: () => act.pick(box.key),
      title: titleOf(box),
    },
    cut(titleOf(box), 16),
  );
}

function aboutBox(box, act) {
  return [
    heading("Volumes with the same users", titleOf(box), act),
    html(
      "p",
      {},
      html(
        "button",
        { type: "button", click: () => act.unfold(box.alike) },
        "Draw each by itself",
      ),
    ),
    html("h3", {}, "Users"),
    html(
      "ul",
      { class: "uses" },
      box.links.map((link) =>
        html(
          "li",
          {},
          letter(link),
          html(
            "button",
            { type: "button", class: "link", click: () => act.pick(link.user.id) },
            link.user.label,
          ),
          html("span", { class: "words" }, said(link)),
        ),
      ),
    ),
    html("h3", {}, "Volumes"),
    html(
      "ul",
      { class: "ids" },
      box.volumes.map((volume) => html("li", {}, volume.id)),
    ),
  ];
}

function aboutVolume(volume, hosts, act) {
  const parts = [
    heading("Volume", volume.id, act),
    facts(
      ["Status", volume.status],
      ["Back end", volume.back_end],
      ["Target", volume.target, "id"],
    ),
  ];
  if (volume.busy) {
    parts.push(
      html(
        "p",
        { class: "warning" },
        "An operation on it was under way, and had been for ",
        "some seconds. What is here may have changed since.",
      ),
    );
  }
  if (volume.blind) {
    parts.push(
      html(
        "p",
        { class: "warning" },
        "Cinder's attachments could not be read: this is ",
        "the driver's record and the kernel.",
      ),
    );
  }
  for (const one of volume.differences) {
    parts.push(
      html(
        "section",
        { class: "difference" },
        html("h3", {}, `Differs: ${one.difference}`),
        facts(
          ["Host", hosts.get(one.initiator)?.label ?? one.initiator],
          ["There is", one.found],
          ["There should be", one.wanted],
          ["Means", one.means],
          ["Cause", one.cause],
          ["The reconcile", one.reconcile],
        ),
      ),
    );
  }
  parts.push(html("h3", {}, counted(volume.uses.length, "use")));
  parts.push(...volume.uses.map((use) => aboutUse(use, hosts.get(use.host), act)));
  parts.push(
    html("h3", {}, "On the storage node"),
    html("pre", {}, `taikun-cinder volume show ${volume.id}`),
  );
  return parts;
}

function aboutUse(use, host, act) {
  const link = { mode: use.enforced, session: use.logged_in, differs: use.differs };
  return html(
    "section",
    { class: "use" },
    html(
      "p",
      {},
      letter(link),
      html(
        "button",
        { type: "button", class: "link", click: () => act.pick(host.id) },
        host.label,
      ),
      html("span", { class: "words" }, said(link)),
    ),
    facts(
      ["Asked for", use.asked && use.asked !== use.enforced ? use.asked : ""],
      ["Disk", use.disk === "main" ? "" : "the readers' disk"],
      ["Session from", use.address],
      ["Server", use.server, "id"],
      ["Attachment", use.attachment, "id"],
      ["Remark", use.remark],
    ),
  );
}
