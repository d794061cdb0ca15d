// SPDX-License-Identifier: Apache-2.0
// The picture: users at the left, volumes at the right, and a line for each use.

const USER = { width: 216, height: 30 };
const BOX = { width: 330, height: 30 };
const GAP = 8;
const EDGE = 10;
const HEADING = 34;

/** Draw the picture into a room of this width, in pixels. */
function drawLinks({ users, boxes }, width) {
  untangle(users, boxes);
  const right = Math.max(width, USER.width + BOX.width + 200) - BOX.width - EDGE;
  const bottom = place(users, boxes);
  const whole = right + BOX.width + EDGE;
  const picture = svg("svg", {
    class: "links",
    viewBox: `0 0 ${whole} ${bottom}`,
    width: whole,
    height: bottom,
    role: "group",
    "aria-label": "Hosts and volumes",
  });
  const lines = svg("g", { class: "lines" });
  const ends = svg("g", { class: "ends" });
  for (const box of boxes) {
    for (const link of box.links) {
      line(link, box, right, lines, ends);
    }
  }
  const things = svg("g", { class: "things" });
  let section = "";
  for (const box of boxes) {
    if (box.section !== section) {
      section = box.section;
      things.append(
        svg("text", { class: "heading", x: right, y: box.top - 10 }, cut(section, 44)),
      );
    }
    things.append(boxOf(box, right));
  }
  things.append(...users.map(userBox));
  picture.append(lines, ends, things);
  return picture;
}

/** Give each user and box its place; give the height of all. */
function place(users, boxes) {
  const height = (box) => Math.max(BOX.height, 10 + box.links.length * step(box));
  const left = EDGE + users.length * (USER.height + GAP);
  const rights = boxes.reduce((sum, box) => sum + height(box), 0);
  const sections = new Set(boxes.map((box) => box.section)).size;
  const spare = (left - rights - sections * HEADING) / Math.max(boxes.length, 1);
  const gap = Math.max(boxes.length > 20 ? GAP : 2 * GAP, spare);
  let y = EDGE;
  let section = "";
  for (const box of boxes) {
    if (box.section !== section) {
      section = box.section;
      y += HEADING;
    }
    box.top = y;
    box.height = height(box);
    y += box.height + gap;
  }
  placeUsers(users, Math.max(y, left));
  for (const box of boxes) {
    box.links.sort((one, other) => one.user.top - other.user.top);
    const first = box.top + box.height / 2 - ((box.links.length - 1) * step(box)) / 2;
    box.links.forEach((link, at) => {
      link.y = first + at * step(box);
    });
  }
  placePorts(users, boxes);
  const lowest = users.reduce(
    (most, user) => Math.max(most, user.top + USER.height + GAP),
    0,
  );
  return Math.max(y, lowest, 60);
}

/** Give the distance of a box's ends, in pixels: closer where there are many. */
function step(box) {
  return box.links.length > 12 ? 5 : 9;
}

/** Put each user beside the middle of its boxes, and none upon another. */
function placeUsers(users, bottom) {
  let y = EDGE;
  for (const user of users) {
    const tops = user.boxes.map((box) => box.top + box.height / 2);
    const middle = tops.reduce((sum, top) => sum + top, 0) / Math.max(tops.length, 1);
    user.top = Math.max(y, middle - USER.height / 2);
    y = user.top + USER.height + GAP;
  }
  let most = bottom;
  for (const user of [...users].reverse()) {
    user.top = Math.max(EDGE, Math.min(user.top, most - USER.height - GAP));
    most = user.top;
  }
}

/** Let the lines of a user begin below each other, in the order of their boxes. */
function placePorts(users, boxes) {
  const own = new Map(users.map((user) => [user, []]));
  for (const box of boxes) {
    for (const link of box.links) {
      own.get(link.user).push(link);
    }
  }
  for (const [user, links] of own) {
    const room = Math.min(links.length * 5, USER.height - 8);
    links.forEach((link, at) => {
      const part = links.length > 1 ? at / (links.length - 1) - 0.5 : 0;
      link.from = user.top + USER.height / 2 + part * room;
    });
  }
}

function line(link, box, right, lines, ends) {
  const from = EDGE + USER.width;
  const bend = (right - from) * 0.45;
  const kinds = kind(link);
  const path = svg("path", {
    class: `edge ${kinds}`,
    d:
      `M${from} ${link.from.toFixed(1)}C${from + bend} ${link.from.toFixed(1)} ` +
      `${right - bend} ${link.y.toFixed(1)} ${right - 6} ${link.y.toFixed(1)}`,
  });
  const end = svg("circle", {
    class: `end ${kinds}`,
    cx: right - 6,
    cy: link.y.toFixed(1),
    r: 3.2,
  });
  link.drawn = [path, end];
  if (link.differs) {
    const y = (link.from + link.y) / 2;
    const mark = svg(
      "g",
      { class: "mark" },
      svg("circle", { cx: (from + right - 6) / 2, cy: y, r: 8 }),
      svg("text", { x: (from + right - 6) / 2, y: y + 4 }, "!"),
    );
    link.drawn.push(mark);
    ends.append(mark);
  }
  lines.append(path);
  ends.append(end);
  path.append(svg("title", {}, `${link.user.label} ${said(link)}: ${titleOf(box)}`));
}

function thing(key, side, classes, label, x, y, size, ...inside) {
  return svg(
    "g",
    {
      class: `thing ${classes}`,
      "data-key": key,
      "data-side": side,
      tabindex: -1,
      role: "button",
      "aria-label": label,
      transform: `translate(${x} ${y.toFixed(1)})`,
    },
    svg("title", {}, label),
    svg("rect", { ...size, rx: 6 }),
    ...inside,
  );
}

function userBox(user) {
  const name =
    user.kind === "server" ? `${user.label} on ${user.host.label}` : user.label;
  const many = counted(user.volumes, "volume");
  user.drawn = thing(
    user.id,
    "user",
    `user ${user.kind}${user.id === NOBODY ? " nobody" : ""}`,
    `${user.server ?? user.host.id} ${name}, ${many}`,
    EDGE,
    user.top,
    USER,
    svg("text", { class: "name", x: 12, y: 20 }, cut(name, 21)),
    svg("text", { class: "many", x: USER.width - 10, y: 20 }, user.volumes),
  );
  return user.drawn;
}

function boxOf(box, right) {
  const [volume] = box.volumes;
  const single = box.volumes.length === 1;
  const more = note(box);
  const y = box.height / 2 + 4.5;
  const marked = isMarked(box);
  const users = userCount(box);
  const classes = `box${single ? "" : " several"}${marked ? " differs" : ""}`;
  const parts = [titleOf(box), volume.back_end, counted(users, "user")];
  const label = [...parts, ...(marked ? ["differs"] : [])].join(", ");
  box.drawn = thing(
    box.key,
    "box",
    classes,
    label,
    right,
    box.top,
    { width: BOX.width, height: box.height },
    svg(
      "text",
      { class: single ? "id" : "name", x: 14, y },
      single ? cut(volume.id, more ? 13 : 36) : titleOf(box),
    ),
    svg(
      "text",
      { class: `more${single ? "" : " id"}`, x: 122, y },
      cut(more, single ? 26 : 22),
    ),
    svg("text", { class: "many", x: BOX.width - 10, y }, marked ? "!" : users),
  );
  return box.drawn;
}

/** Say in a few words what a box has beside its name. */
function note(box) {
  const [volume] = box.volumes;
  if (volume.busy) {
    return "operation under way";
  }
  if (box.links.length === 0) {
    return "nobody uses it";
  }
  if (box.volumes.length > 1) {
    return box.volumes.map((one) => one.id.slice(0, 8)).join(" ");
  }
  return volume.status === "in-use" ? "" : volume.status;
}
