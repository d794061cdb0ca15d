// SPDX-License-Identifier: Apache-2.0
// The page: what is chosen, and what happens when something is.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("topology").textContent);
const graph = read(data);
const state = {
  search: "",
  only: new Set(),
  host: "",
  by: "host",
  view: "",
  pick: "",
  help: false,
  unfolded: new Set(),
};
/** From so much on, lines cross too often; but a matrix must not be too wide. */
const MANY = { boxes: 48, links: 160, columns: 120 };
let shown = { users: [], boxes: [] };

const act = {
  pick(key) {
    state.pick = key ?? "";
    keep();
    light();
    const picked = found(state.pick);
    widen(!picked);
    drawPanel(byId("panel"), picked, graph, data, act);
    byId("panel").scrollTop = 0;
    const drawn = (picked?.user ?? picked?.box)?.drawn;
    drawn?.scrollIntoView({ block: "nearest", inline: "nearest" });
    rove(drawn?.matches(".thing") ? drawn : drawn?.querySelector(".thing"));
  },
  only(host) {
    change({ host });
  },
  unfold(alike) {
    state.unfolded.add(alike);
    change({ pick: "" });
  },
};

function found(key) {
  const user = shown.users.find((one) => one.id === key);
  const box = user ? null : shown.boxes.find((one) => one.key === key);
  return user ? { user } : box ? { box } : null;
}

function change(what) {
  Object.assign(state, what);
  render();
}

/** Give a matrix all the room, as long as there is nothing to tell beside it. */
function widen(idle) {
  const wide = byId("picture").className.includes("matrix") && idle && !state.help;
  document.querySelector("main").classList.toggle("wide", wide);
}

/** Draw all anew. */
function render() {
  const volumes = filtered(graph.volumes, state);
  shown = boxed(volumes, graph.hosts, state);
  const links = shown.boxes.reduce((sum, box) => sum + box.links.length, 0);
  const many =
    shown.users.length < MANY.columns &&
    (shown.boxes.length > MANY.boxes || links > MANY.links);
  const view = state.view || (many ? "matrix" : "links");
  const picture = byId("picture");
  picture.className = view;
  widen(true);
  const drawn =
    shown.boxes.length === 0
      ? nothing()
      : view === "matrix"
        ? drawMatrix(shown)
        : drawLinks(shown, picture.clientWidth - 2);
  picture.replaceChildren(drawn);
  for (const button of byId("view").children) {
    button.setAttribute("aria-pressed", String(button.value === view));
  }
  for (const button of byId("only").children) {
    button.setAttribute("aria-pressed", String(state.only.has(button.value)));
  }
  byId("host").value = state.host;
  byId("by").value = state.by;
  if (byId("search").value !== state.search) {
    byId("search").value = state.search;
  }
  for (const user of shown.users) {
    const told = [user.server ?? "", user.host.initiator, ...user.host.names].join(" ");
    user.drawn?.classList.toggle("match", isMatch(told, state.search));
  }
  for (const box of shown.boxes) {
    const told = box.volumes.map((volume) => volume.id).join(" ");
    box.drawn?.classList.toggle("match", isMatch(told, state.search));
  }
  count(volumes);
  rove(picture.querySelector(".thing"));
  act.pick(found(state.pick) ? state.pick : "");
}

function nothing() {
  const empty = graph.volumes.length === 0;
  return html(
    "p",
    { class: "nothing" },
    empty
      ? "No volume is attached, exported or recorded on this node."
      : "No volume is so. ",
    empty ? null : html("button", { type: "button", click: reset }, "Show all"),
  );
}

function reset() {
  state.only.clear();
  state.unfolded.clear();
  change({ search: "", host: "", pick: "" });
}

function count(volumes) {
  const of = (some, all, noun) =>
    some === all
      ? counted(all, noun)
      : `${some.toLocaleString("en")} of ${counted(all, noun)}`;
  const hosts = new Set(volumes.flatMap((volume) => [...volume.hosts]));
  const uses = volumes.reduce((sum, volume) => sum + volume.uses.length, 0);
  const differ = volumes.filter((volume) => volume.differences.length > 0).length;
  byId("count").replaceChildren(
    html("strong", {}, of(volumes.length, graph.volumes.length, "volume")),
    " \u00b7 ",
    of(hosts.size, data.hosts.length, "host"),
    " \u00b7 ",
    of(uses, data.edges.length, "use"),
    differ
      ? html(
          "span",
          { class: "bad" },
          ` \u00b7 ${counted(differ, "volume differs", "volumes differ")}`,
        )
      : "",
  );
}

/** Lift what belongs to the thing that is picked, or pointed at, from the rest. */
function light(pointed) {
  const picked = found(pointed ?? state.pick);
  const picture = byId("picture");
  picture.classList.toggle("lit", Boolean(picked));
  for (const old of picture.querySelectorAll(".on, .near, .picked")) {
    old.classList.remove("on", "near", "picked");
  }
  if (!picked) {
    return;
  }
  const { user, box } = picked;
  (user ?? box).drawn.classList.add("picked");
  for (const one of box ? [box] : user.boxes) {
    one.drawn.classList.add("on");
    for (const link of one.links) {
      const how = box || link.user === user ? "on" : "near";
      link.user.drawn.classList.add(how);
      link.drawn.forEach((part) => part.classList.add(how));
    }
  }
}

/** Let the Tab key find one thing of the picture; arrows find the others. */
function rove(thing) {
  if (thing) {
    byId("picture")
      .querySelector('.thing[tabindex="0"]')
      ?.setAttribute("tabindex", "-1");
    thing.setAttribute("tabindex", "0");
  }
}

function go(from, key) {
  const { side } = from.dataset;
  const across = { ArrowLeft: "user", ArrowRight: "box" }[key];
  const isMatrix = byId("picture").className.includes("matrix");
  const along =
    isMatrix && side === "user"
      ? ["ArrowLeft", "ArrowRight"]
      : ["ArrowUp", "ArrowDown"];
  const all = [...byId("picture").querySelectorAll(`.thing[data-side="${side}"]`)];
  const by = along.indexOf(key);
  let next = by < 0 ? null : all[all.indexOf(from) + (by ? 1 : -1)];
  if (by < 0 && (isMatrix || across !== side)) {
    const { user, box } = found(from.dataset.key) ?? {};
    next = (user ? user.boxes[0] : box?.links[0]?.user)?.drawn;
    next = next?.matches(".thing") ? next : next?.querySelector(".thing");
  }
  if (next) {
    rove(next);
    next.focus();
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function onKey(event) {
  const typing = event.target.matches("input, select");
  if (event.key === "Escape") {
    if (state.pick) {
      act.pick(null);
    } else {
      reset();
    }
  } else if (event.key === "/" && !typing) {
    event.preventDefault();
    byId("search").select();
  } else if (event.target.matches(".thing")) {
    if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      go(event.target, event.key);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      act.pick(event.target.dataset.key);
    }
  }
}

/** Keep what is chosen in the address, so that it can be handed on. */
function keep() {
  const chosen = new URLSearchParams();
  const { search, host, by, view, pick } = state;
  const values = {
    search,
    only: [...state.only].join(" "),
    host,
    by: by === "host" ? "" : by,
    view,
    pick,
  };
  for (const [name, value] of Object.entries(values)) {
    if (value) {
      chosen.set(name, value);
    }
  }
  try {
    history.replaceState(null, "", `#${chosen}`);
  } catch {
    // Some browsers refuse so many in so short a time, and the next one is near.
  }
}

function restore() {
  const kept = new URLSearchParams(location.hash.slice(1));
  const one = (name, allowed) =>
    allowed.includes(kept.get(name)) ? kept.get(name) : "";
  const known = FILTERS.map(([name]) => name);
  state.search = kept.get("search") ?? "";
  state.only = new Set(
    (kept.get("only") ?? "").split(" ").filter((name) => known.includes(name)),
  );
  state.host = one("host", [...graph.hosts.keys()]);
  state.by =
    one(
      "by",
      [...byId("by").options].map((option) => option.value),
    ) || "host";
  state.view = one("view", ["links", "matrix"]);
  state.pick = kept.get("pick") ?? "";
}
