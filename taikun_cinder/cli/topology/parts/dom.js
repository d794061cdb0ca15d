// SPDX-License-Identifier: Apache-2.0
// Elements. Every text comes in as text, and never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Show what would not be seen, or would turn other text around, as its code. */
function visible(text) {
  return String(text).replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (sign) => `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The attributes that people read; by the others programs go, sign by sign. */
const READ = new Set(["title", "aria-label"]);

function filled(made, properties, inside) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) {
      continue;
    }
    if (typeof value === "function") {
      made.addEventListener(name, value);
    } else {
      made.setAttribute(
        name,
        value === true ? "" : READ.has(name) ? visible(value) : value,
      );
    }
  }
  for (const one of inside.flat()) {
    if (one !== null && one !== undefined && one !== false) {
      made.append(one instanceof Node ? one : visible(one));
    }
  }
  return made;
}

/** Make an element of HTML; functions among its properties are listeners. */
function html(tag, properties, ...inside) {
  return filled(document.createElement(tag), properties, inside);
}

/** Make an element of SVG. */
function svg(tag, properties, ...inside) {
  return filled(document.createElementNS(SVG, tag), properties, inside);
}

/** Cut a text that has no room. */
function cut(text, room) {
  const whole = visible(text);
  return whole.length > room ? `${whole.slice(0, Math.max(room - 1, 1))}\u2026` : whole;
}

/** Say a number with its noun. */
function counted(number, one, several = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : several}`;
}

const MODES = {
  rw: { letter: "W", words: "may write" },
  ro: { letter: "R", words: "may only read" },
  none: { letter: "\u2013", words: "has no access" },
};

/** Say what a link is, for those who hear it. */
function said(link) {
  const mode = MODES[link.mode].words;
  const session = link.session ? "logged in" : "not logged in";
  const differs = link.differs ? ", differs from Cinder" : "";
  return link.mode === "none" && !link.session
    ? mode + differs
    : `${mode}, ${session}${differs}`;
}

/** Give the classes of a link, which both drawings style. */
function kind(link) {
  return `${link.mode} ${link.session ? "in" : "out"}${link.differs ? " differs" : ""}`;
}

/** What a box is called, in a few letters. */
function titleOf(box) {
  return box.volumes.length === 1
    ? box.volumes[0].id
    : counted(box.volumes.length, "volume");
}

function userCount(box) {
  return box.links.filter((link) => link.user.id !== NOBODY).length;
}

function isMarked(box) {
  return box.volumes.some((volume) => volume.differences.length > 0);
}

/** Make the letter that stands for a link. */
function letter(link) {
  return html(
    "span",
    { class: `cell ${kind(link)}`, title: said(link) },
    MODES[link.mode].letter,
  );
}

/** Give the sample of a link as the picture draws it. */
function sample(link) {
  const picture = svg("svg", {
    class: "sample",
    viewBox: "0 0 34 12",
    width: 34,
    height: 12,
    "aria-hidden": "true",
  });
  picture.append(
    svg("path", { class: `edge ${kind(link)}`, d: "M1 6H29" }),
    svg("circle", { class: `end ${kind(link)}`, cx: 29, cy: 6, r: 3.2 }),
  );
  return picture;
}
