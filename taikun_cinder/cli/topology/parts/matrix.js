// SPDX-License-Identifier: Apache-2.0
// The matrix: a row for each box, a column for each user, a letter for each use.

/** The width of a column, in pixels, as page.css has it. */
const COLUMN = 22;

/** Draw the matrix. */
function drawMatrix({ users, boxes }) {
  stairs(users, boxes);
  const head = html(
    "tr",
    {},
    html(
      "th",
      { class: "corner", scope: "col" },
      `${counted(boxes.length, "row")}, ${counted(users.length, "column")}`,
    ),
  );
  users.forEach((user) => head.append(column(user)));
  const body = html("tbody");
  let section = "";
  for (const box of boxes) {
    if (box.section !== section) {
      section = box.section;
      body.append(
        html(
          "tr",
          { class: "section" },
          html("th", { scope: "rowgroup" }, section),
          html("td", { colspan: users.length }),
        ),
      );
    }
    body.append(row(box, users));
  }
  return html("table", { class: "matrix" }, html("thead", {}, head), body);
}

function column(user) {
  const label = `${user.server ?? user.host.id}, ${counted(user.volumes, "volume")}`;
  const head = html(
    "button",
    {
      type: "button",
      class: "thing",
      tabindex: -1,
      "data-key": user.id,
      "data-side": "user",
      title: label,
    },
    html("span", { class: "name" }, user.label),
  );
  user.drawn = html("th", { class: `user ${user.kind}`, scope: "col" }, head);
  return user.drawn;
}

function row(box, users) {
  const single = box.volumes.length === 1;
  const marked = isMarked(box);
  const head = html(
    "button",
    {
      type: "button",
      class: "thing",
      tabindex: -1,
      "data-key": box.key,
      "data-side": "box",
      title: single ? box.volumes[0].id : undefined,
    },
    html(
      "span",
      { class: single ? "id" : "name" },
      single ? cut(titleOf(box), note(box) ? 13 : 24) : titleOf(box),
    ),
    html("span", { class: `more${single ? "" : " id"}` }, note(box)),
    html("span", { class: "many" }, marked ? "!" : userCount(box)),
  );
  box.drawn = html(
    "tr",
    { class: `box${marked ? " differs" : ""}` },
    html("th", { scope: "row" }, head),
  );
  // A cell for each column would be a hundred thousand of them, and nearly all empty.
  const cells = html("td", { colspan: users.length });
  for (const link of box.links) {
    const cell = letter(link);
    cell.style.left = `${link.user.place * COLUMN}px`;
    link.drawn = [cell];
    cells.append(cell);
  }
  box.drawn.append(cells);
  return box.drawn;
}
