// SPDX-License-Identifier: Apache-2.0
// Makes the tools, the legend and the lines above the picture, and lets them work.

function makeTools() {
  byId("only").append(
    ...FILTERS.map(([name, label, title, test]) => {
      const many = graph.volumes.filter(test).length;
      return html(
        "button",
        {
          type: "button",
          value: name,
          title,
          class: `chip ${name}`,
          disabled: many === 0,
          click: () => {
            state.only[state.only.has(name) ? "delete" : "add"](name);
            render();
          },
        },
        label,
        html("span", { class: "many" }, many.toLocaleString("en")),
      );
    }),
  );
  byId("view").append(
    ...[
      ["links", "Lines"],
      ["matrix", "Matrix"],
    ].map(([view, label]) =>
      html(
        "button",
        { type: "button", value: view, class: "chip", click: () => change({ view }) },
        label,
      ),
    ),
  );
  byId("host").append(
    html("option", { value: "" }, "all"),
    ...data.hosts.map((host) => html("option", { value: host.id }, host.label)),
  );
  byId("host").addEventListener("change", (event) =>
    change({ host: event.target.value }),
  );
  byId("by").addEventListener("change", (event) =>
    change({ by: event.target.value, pick: "" }),
  );
  byId("search").addEventListener("input", (event) =>
    change({ search: event.target.value }),
  );
}

function makeLegend() {
  const kinds = [
    [{ mode: "rw", session: true }, "may write"],
    [{ mode: "ro", session: true }, "may only read"],
    [{ mode: "rw", session: false }, "not logged in"],
    [{ mode: "none", session: false }, "no access"],
    [{ mode: "rw", session: true, differs: true }, "differs from Cinder"],
  ];
  byId("legend").append(
    ...kinds.map(([link, words]) =>
      html("span", {}, sample(link), letter(link), words),
    ),
  );
}

function makeLines() {
  const made = new Date(data.made);
  const age = Math.round((Date.now() - made) / 60000);
  const ago =
    age < 1
      ? "just now"
      : age < 120
        ? counted(age, "minute")
        : age < 2880
          ? counted(Math.round(age / 60), "hour")
          : counted(Math.round(age / 1440), "day");
  const at = data.made.replace("T", " ").replace("+00:00", " UTC");
  byId("made").append(
    "on ",
    html("strong", {}, data.node),
    " at ",
    html("time", { datetime: data.made }, at),
    html(
      "span",
      { class: age > 15 ? "bad" : "words" },
      age < 1 ? ` (${ago})` : ` (${ago} ago)`,
    ),
    ` \u00b7 ${counted(data.back_ends.length, "back end")}`,
    ` \u00b7 taikun_cinder ${data.version}`,
  );
  const { host, shared } = data.only;
  if (host || shared) {
    byId("warnings").append(
      html(
        "p",
        { class: "note" },
        "Only the volumes that were asked for: ",
        [host && `of host ${host}`, shared && "that several hosts use"]
          .filter(Boolean)
          .join(", "),
        ".",
      ),
    );
  }
  for (const line of data.unseen) {
    byId("warnings").append(html("p", { class: "warning" }, line));
  }
}

function makeTheme() {
  const themes = [
    ["light dark", "Theme: system"],
    ["light", "Theme: light"],
    ["dark", "Theme: dark"],
  ];
  let at = 0;
  byId("theme").textContent = themes[at][1];
  byId("theme").addEventListener("click", () => {
    at = (at + 1) % themes.length;
    document.documentElement.style.colorScheme = themes[at][0];
    byId("theme").textContent = themes[at][1];
  });
}

function listen() {
  const picture = byId("picture");
  const keyOf = (event) => event.target.closest?.(".thing")?.dataset.key;
  picture.addEventListener("click", (event) => {
    const key = keyOf(event);
    act.pick(key === undefined || key === state.pick ? null : key);
  });
  picture.addEventListener("pointerover", (event) => light(keyOf(event)));
  picture.addEventListener("pointerleave", () => light());
  picture.addEventListener("focusin", (event) => light(keyOf(event)));
  document.addEventListener("keydown", onKey);
  byId("help").addEventListener("click", () => {
    state.help = Boolean(state.pick) || !state.help;
    act.pick(null);
  });
  let width = picture.clientWidth;
  window.addEventListener("resize", () => {
    if (Math.abs(picture.clientWidth - width) > 8) {
      width = picture.clientWidth;
      render();
    }
  });
}

makeTools();
makeLegend();
makeLines();
makeTheme();
listen();
restore();
render();
