// SPDX-License-Identifier: Apache-2.0
// What is shown: the graph, filtered, and its volumes put into boxes of those alike.

/** Stands for the host of an attachment that no host has asked for yet. */
const NOBODY = "\u0000";

const names = new Intl.Collator("en", { numeric: true });

const RANK = { none: 0, ro: 1, rw: 2 };

/** The filters: whether a volume is one of them, and what they are called. */
const FILTERS = [
  ["shared", "Shared", "Several hosts use it", (volume) => volume.hosts.size > 1],
  [
    "writers",
    "Several write",
    "Several hosts may write to it",
    (volume) => volume.writers > 1,
  ],
  [
    "readers",
    "Only read",
    "Hosts may read it, and none may write",
    (volume) =>
      volume.writers === 0 && volume.uses.some((use) => use.enforced === "ro"),
  ],
  [
    "away",
    "No session",
    "A host may use it and is not logged in",
    (volume) => volume.away,
  ],
  [
    "differs",
    "Differs",
    "The kernel is not as Cinder's attachments say",
    (volume) => volume.differences.length > 0,
  ],
];

/** Read the graph that the command wrote; give its hosts by id, and its volumes. */
function read(data) {
  const hosts = new Map(data.hosts.map((host) => [host.id, host]));
  const short = shortener(data.hosts);
  for (const host of data.hosts) {
    host.label = host.names.map(short).join(" / ") || host.id;
  }
  hosts.set(NOBODY, { id: NOBODY, label: "no host yet", names: [], initiator: "" });
  const volumes = new Map();
  for (const volume of data.volumes) {
    volume.key = JSON.stringify([volume.back_end, volume.id]);
    volume.uses = [];
    volumes.set(volume.key, volume);
  }
  for (const edge of data.edges) {
    edge.host = edge.host ?? NOBODY;
    volumes.get(JSON.stringify([edge.back_end, edge.volume])).uses.push(edge);
  }
  for (const volume of volumes.values()) {
    describe(volume, hosts);
  }
  return { hosts, volumes: [...volumes.values()] };
}

/** Give what takes off the domain that all hosts share; an address has none. */
function shortener(hosts) {
  const all = hosts.flatMap((host) => host.names);
  const domain = /^[^.:]+(\.[^:]+)$/.exec(all[0] ?? "")?.[1];
  const same =
    /[a-z]/i.test(domain ?? "") &&
    all.every((name) => name.endsWith(domain) && name !== domain);
  return (name) => (same ? name.slice(0, -domain.length) : name);
}

function describe(volume, hosts) {
  volume.hosts = new Set(volume.uses.map((use) => use.host));
  volume.hosts.delete(NOBODY);
  const writing = volume.uses.filter((use) => use.enforced === "rw");
  volume.writers = new Set(writing.map((use) => use.host)).size;
  volume.away = volume.uses.some((use) => use.enforced !== "none" && !use.logged_in);
  const words = [volume.id, volume.back_end, volume.status, volume.target];
  for (const use of volume.uses) {
    const host = hosts.get(use.host);
    words.push(
      ...host.names,
      host.initiator,
      use.server,
      use.attachment,
      use.address,
      use.remark,
    );
  }
  volume.words = words.join("\n").toLowerCase();
}

function wordsOf(search) {
  return search.toLowerCase().split(/\s+/).filter(Boolean);
}

/** Say whether a text has one of the words that are searched for. */
function isMatch(text, search) {
  return wordsOf(search).some((word) => text.toLowerCase().includes(word));
}

/** Give the volumes that all filters let through. */
function filtered(volumes, state) {
  const searched = wordsOf(state.search);
  const chosen = FILTERS.filter(([name]) => state.only.has(name));
  return volumes.filter(
    (volume) =>
      searched.every((word) => volume.words.includes(word)) &&
      chosen.every(([, , , test]) => test(volume)) &&
      (!state.host || volume.hosts.has(state.host)),
  );
}

/**
 * Put volumes with the same users, in the same modes, into one box.
 *
 * A user is a host, or a server. Nothing is lost by it: in a box all volumes have the
 * same links. What differs, or is under way, has a box of its own.
 */
function boxed(volumes, hosts, state) {
  const users = new Map();
  const boxes = new Map();
  for (const volume of volumes) {
    const links = linked(volume, hosts, state.by, users);
    const alone = state.by === "volume" || volume.differences.length > 0 || volume.busy;
    const section = state.by === "back_end" ? volume.back_end : "";
    const alike = JSON.stringify([
      section,
      links.map((link) => [link.user.id, link.mode, link.session]),
    ]);
    const key = alone || state.unfolded.has(alike) ? volume.key : alike;
    if (!boxes.has(key)) {
      boxes.set(key, { key, alike, section, links, volumes: [] });
    }
    boxes.get(key).volumes.push(volume);
  }
  for (const box of boxes.values()) {
    for (const link of box.links) {
      link.user.boxes.push(box);
      link.user.volumes += box.volumes.length;
    }
  }
  return { users: sorted([...users.values()]), boxes: [...boxes.values()] };
}

function linked(volume, hosts, by, users) {
  const links = new Map();
  for (const use of volume.uses) {
    const user = userOf(use, hosts, by);
    if (!users.has(user.id)) {
      users.set(user.id, { ...user, boxes: [], volumes: 0 });
    }
    const link = links.get(user.id) ?? {
      user: users.get(user.id),
      mode: "none",
      session: false,
      differs: false,
      uses: [],
    };
    link.mode = RANK[use.enforced] > RANK[link.mode] ? use.enforced : link.mode;
    link.session ||= use.logged_in;
    link.differs ||= use.differs;
    link.uses.push(use);
    links.set(user.id, link);
  }
  return [...links.values()].sort((one, other) =>
    names.compare(one.user.id, other.user.id),
  );
}

function userOf(use, hosts, by) {
  const host = hosts.get(use.host);
  if (by === "server" && use.server) {
    return {
      id: `\u0000${use.server}`,
      kind: "server",
      server: use.server,
      label: use.server.slice(0, 8),
      host,
    };
  }
  return { id: use.host, kind: "host", label: host.label, host };
}

function sorted(users) {
  return users.sort(
    (one, other) =>
      (one.id === NOBODY) - (other.id === NOBODY) ||
      names.compare(one.host.label, other.host.label) ||
      names.compare(one.label, other.label),
  );
}

/** Bring together what belongs so: each to the middle of its neighbours. */
function untangle(users, boxes) {
  const middle = (places) =>
    places.length
      ? places.reduce((sum, one) => sum + one, 0) / places.length
      : Infinity;
  const order = (things, places) => {
    const at = new Map(things.map((one) => [one, middle(places(one))]));
    things.sort((one, other) => at.get(one) - at.get(other) || 0);
    things.forEach((one, place) => {
      one.place = place;
    });
  };
  users.forEach((user, place) => {
    user.place = place;
  });
  for (let round = 0; round < 6; round += 1) {
    order(boxes, (box) => box.links.map((link) => link.user.place));
    boxes.sort((one, other) => names.compare(one.section, other.section));
    boxes.forEach((box, place) => {
      box.place = place;
    });
    order(users, (user) => user.boxes.map((box) => box.place));
  }
}

/** Order rows as stairs: by the users' columns, from the first to the last. */
function stairs(users, boxes) {
  users.forEach((user, place) => {
    user.place = place;
  });
  for (const box of boxes) {
    box.links.sort((one, other) => one.user.place - other.user.place);
  }
  boxes.sort((one, other) => {
    const section = names.compare(one.section, other.section);
    for (
      let at = 0;
      !section && at < Math.max(one.links.length, other.links.length);
      at += 1
    ) {
      const left = one.links[at]?.user.place ?? -1;
      const right = other.links[at]?.user.place ?? -1;
      if (left !== right) {
        return left - right;
      }
    }
    return section || names.compare(one.volumes[0].id, other.volumes[0].id);
  });
}
