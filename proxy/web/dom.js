// Elements from data. Text is only ever set as text: nothing that comes from a source or a model becomes markup.

const SVG = 'http://www.w3.org/2000/svg';

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element. A function among the attributes listens to the event of that name. */
export const h = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);

/** An SVG element. */
export const s = (name, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, name), attributes, children);

export const byId = (id) => document.getElementById(id);

/** Run `what` when nobody has asked again for `ms`. */
export function later(what, ms) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(what, ms, ...given);
  };
}
