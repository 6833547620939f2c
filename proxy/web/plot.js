// Quality against cost: every point a candidate, the line those that nothing else beats in both.
// Drawn from data alone; what is chosen is told to `onChoose`, and the page decides what that means.

import { h, later, s } from './dom.js';
import { DASH, duration, usd, whole } from './format.js';
import { BASES, Z } from './marks.js';

const MARGIN = { top: 20, right: 16, bottom: 38, left: 46 };
const FREE = 54;
const REACH = 26;

/** Candidates that no other beats in both cost and quality, cheapest first. */
export function front(rows) {
  const sorted = [...rows].sort((a, b) => a.cost_usd - b.cost_usd || b.quality - a.quality);
  let best = -Infinity;
  return sorted.filter((row) => row.quality > best && ((best = row.quality), true));
}

const evenly = (low, high, step) => {
  const ticks = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push(at);
  return ticks;
};

export class Plot {
  #host;
  #onChoose;
  #rows = [];
  #chosen = null;
  #points = [];
  #names;
  #tip;
  #mark = null;

  constructor(host, onChoose) {
    this.#host = host;
    this.#onChoose = onChoose;
    const redraw = later(() => this.#draw(), 60);
    let width = 0;
    new ResizeObserver(([entry]) => {
      if (Math.abs(entry.contentRect.width - width) < 1) return;
      width = entry.contentRect.width;
      redraw();
    }).observe(host);
  }

  /** Show these; rows without cost or quality cannot be placed and are left out. */
  show(rows, nameOf) {
    this.#rows = rows.filter((row) => row.quality !== null && row.cost_usd !== null);
    this.#names = nameOf;
    this.#draw();
  }

  /** Mark a candidate, or none. */
  choose(row) {
    this.#chosen = row;
    const point = this.#points.find((one) => one.row === row);
    // A copy on top: moving the point itself would take the focus from it.
    this.#mark?.setAttribute('class', point ? `${point.group.getAttribute('class')} chosen` : '');
    this.#mark?.replaceChildren(...(point ? [...point.group.children].map((one) => one.cloneNode()) : []));
  }

  #draw() {
    const hadFocus = this.#host.contains(document.activeElement);
    const width = Math.max(280, this.#host.clientWidth);
    const height = width < 560 ? 300 : 400;
    this.#points = [];
    if (!this.#rows.length) {
      this.#host.replaceChildren(h('p', { class: 'empty' }, 'No candidate with a known quality and cost.'));
      return;
    }
    const priced = this.#rows.filter((row) => row.cost_usd > 0);
    const hasFree = priced.length < this.#rows.length;
    const left = MARGIN.left + (hasFree ? FREE : 0);
    const costs = priced.map((row) => Math.log10(row.cost_usd));
    const [low, high] = costs.length ? [Math.min(...costs) - 0.08, Math.max(...costs) + 0.08] : [-4, -2];
    const qualities = this.#rows.map((row) => row.quality);
    const pad = Math.max(10, (Math.max(...qualities) - Math.min(...qualities)) * 0.06);
    const [bottom, top] = [Math.min(...qualities) - pad, Math.max(...qualities) + pad];
    const x = (cost) =>
      cost > 0
        ? left + ((Math.log10(cost) - low) / (high - low)) * (width - left - MARGIN.right)
        : MARGIN.left + FREE / 2;
    const y = (quality) => height - MARGIN.bottom - ((quality - bottom) / (top - bottom)) * (height - MARGIN.top - MARGIN.bottom);
    const undominated = front(this.#rows);
    const svg = s(
      'svg',
      { width, height, viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': this.#summary(undominated) },
      s('defs', {}, s('clipPath', { id: 'inside' }, s('rect', { x: MARGIN.left, y: MARGIN.top, width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom }))),
      this.#axes({ width, height, left, low, high, bottom, top, hasFree }, x, y),
      s('path', { class: 'front', d: this.#path(undominated, x, y, width) }),
    );
    const points = s('g', { class: 'points' });
    const isOnFront = new Set(undominated);
    // The best ranked are drawn last, so that they lie on top.
    for (const row of [...this.#rows].sort((a, b) => isOnFront.has(a) - isOnFront.has(b) || b.rank - a.rank)) {
      points.append(this.#point(row, isOnFront.has(row), x(row.cost_usd), y(row.quality), y));
    }
    this.#mark = s('g', { 'aria-hidden': 'true' });
    svg.append(points, this.#mark, this.#labels(undominated, x, y, width));
    svg.addEventListener('pointermove', (event) => this.#hover(event, svg));
    svg.addEventListener('click', (event) => this.#hover(event, svg));
    svg.addEventListener('pointerleave', () => this.#hideTip());
    svg.addEventListener('keydown', (event) => this.#move(event));
    this.#tip = h('div', { class: 'tip', hidden: true, 'aria-hidden': 'true' });
    this.#host.replaceChildren(svg, this.#tip);
    // One stop for the tab key; arrows go from point to point.
    const start = this.#points.find((point) => point.row === this.#chosen) ?? this.#byCost()[0];
    start.group.setAttribute('tabindex', '0');
    this.choose(this.#chosen);
    if (hadFocus) start.group.focus();
  }

  #summary(undominated) {
    return (
      `Scatter plot of ${this.#rows.length} candidates, quality against cost of a typical call. ` +
      `${undominated.length} are not beaten in both. Arrow keys go from point to point.`
    );
  }

  #axes({ width, height, left, low, high, bottom, top, hasFree }, x, y) {
    const marks = [];
    const base = height - MARGIN.bottom;
    const step = [10, 20, 25, 50, 100, 200].find((one) => (top - bottom) / one <= 8) ?? 500;
    for (const at of evenly(bottom, top, step)) {
      marks.push(
        s('line', { class: 'grid', x1: MARGIN.left, x2: width - MARGIN.right, y1: y(at), y2: y(at) }),
        s('text', { class: 'tick', x: MARGIN.left - 8, y: y(at) + 4, 'text-anchor': 'end' }, String(at)),
      );
    }
    const isWide = width > 560;
    for (let power = Math.floor(low); power <= Math.ceil(high); power += 1) {
      for (const step of [1, 2, 5]) {
        const at = Math.log10(step) + power;
        if (at < low || at > high) continue;
        const cost = step * 10 ** power;
        const isLabelled = step === 1 || (isWide && high - low < 3.4 && step !== 1);
        marks.push(s('line', { class: step === 1 ? 'grid' : 'grid faint', x1: x(cost), x2: x(cost), y1: MARGIN.top, y2: base }));
        if (isLabelled) marks.push(s('text', { class: 'tick', x: x(cost), y: base + 16, 'text-anchor': 'middle' }, usd(cost)));
      }
    }
    if (hasFree) {
      marks.push(
        s('line', { class: 'grid split', x1: left - 6, x2: left - 6, y1: MARGIN.top, y2: base }),
        s('text', { class: 'tick', x: MARGIN.left + FREE / 2, y: base + 16, 'text-anchor': 'middle' }, 'free'),
      );
    }
    marks.push(
      s('text', { class: 'axis', x: width - MARGIN.right, y: height - 4, 'text-anchor': 'end' }, 'cost of a typical call, log scale →'),
      s('text', { class: 'axis', x: 0, y: 10 }, 'quality ↑'),
    );
    return s('g', { class: 'axes', 'aria-hidden': 'true' }, marks);
  }

  #path(undominated, x, y, width) {
    const steps = undominated.map((row, i) => {
      const [px, py] = [x(row.cost_usd).toFixed(1), y(row.quality).toFixed(1)];
      return i === 0 ? `M${px} ${py}` : `H${px} V${py}`;
    });
    return `${steps.join(' ')} H${width - MARGIN.right}`;
  }

  #point(row, isOnFront, px, py, y) {
    const spread = Z * (row.quality_sd ?? 0);
    const classes = ['point', row.quality_basis ?? 'missing', isOnFront && 'on-front', row.isOut && 'out'];
    const label =
      `${this.#names(row)}: quality ${whole(row.quality)}${spread ? ` plus or minus ${whole(spread)}` : ''}, ` +
      `${BASES[row.quality_basis] ?? ''}, ${row.cost_usd ? usd(row.cost_usd) : 'free'} a call${isOnFront ? ', not beaten in both' : ''}`;
    const group = s(
      'g',
      {
        class: classes.filter(Boolean).join(' '),
        role: 'button',
        tabindex: '-1',
        'aria-label': label,
        focus: () => this.#take(row),
      },
      spread > 0 && s('line', { class: 'whisker', x1: px, x2: px, y1: y(row.quality - spread), y2: y(row.quality + spread), 'clip-path': 'url(#inside)' }),
      s('circle', { cx: px, cy: py, r: isOnFront ? 5 : 4 }),
    );
    this.#points.push({ row, group, px, py });
    return group;
  }

  /** Names of the front, each where it covers neither another name nor the edge; the others stay without. */
  #labels(undominated, x, y, width) {
    const taken = [];
    const texts = [];
    for (const row of [...undominated].reverse()) {
      const name = this.#names(row);
      const size = name.length * 6.1;
      const [px, py] = [x(row.cost_usd), y(row.quality)];
      for (const [dx, dy, anchor] of [[-8, -8, 'end'], [8, 16, 'start'], [8, -8, 'start']]) {
        const from = anchor === 'end' ? px + dx - size : px + dx;
        const box = [from, py + dy - 11, from + size, py + dy + 3];
        const isInside = box[0] > MARGIN.left + 4 && box[2] < width - 4 && box[1] > 2;
        const isFree =
          taken.every((other) => box[2] < other[0] || box[0] > other[2] || box[3] < other[1] || box[1] > other[3]) &&
          this.#points.every((p) => p.row === row || p.px < box[0] - 4 || p.px > box[2] + 4 || p.py < box[1] - 3 || p.py > box[3] + 3);
        if (!isInside || !isFree) continue;
        taken.push(box);
        texts.push(s('text', { x: px + dx, y: py + dy, 'text-anchor': anchor }, name));
        break;
      }
    }
    return s('g', { class: 'names', 'aria-hidden': 'true' }, texts);
  }

  #take(row) {
    this.choose(row);
    this.#onChoose(row);
  }

  #hover(event, svg) {
    const box = svg.getBoundingClientRect();
    const [mx, my] = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    let distance = REACH;
    for (const point of this.#points) {
      const away = Math.hypot(point.px - mx, point.py - my);
      if (away < distance) [best, distance] = [point, away];
    }
    if (best === null) {
      this.#hideTip();
      return;
    }
    this.#showTip(best, box.width);
    if (best.row !== this.#chosen) this.#take(best.row);
  }

  #showTip({ row, px, py }, width) {
    const spread = row.quality_sd ? ` ± ${whole(Z * row.quality_sd)}` : '';
    this.#tip.replaceChildren(
      h('b', {}, this.#names(row)),
      h('span', {}, `quality ${whole(row.quality)}${spread}`),
      h('span', {}, `${row.cost_usd ? usd(row.cost_usd) : 'free'} · ${row.latency_ms === null ? DASH : duration(row.latency_ms)}`),
    );
    this.#tip.hidden = false;
    const isRight = px > width / 2;
    this.#tip.style.translate = `calc(${px}px + ${isRight ? '-100% - 12px' : '12px'}) calc(${py}px - 100% - 8px)`;
  }

  #hideTip() {
    if (this.#tip) this.#tip.hidden = true;
  }

  #byCost() {
    return [...this.#points].sort((a, b) => a.row.cost_usd - b.row.cost_usd || a.row.quality - b.row.quality);
  }

  #move(event) {
    const at = this.#points.find((point) => point.group === event.target);
    if (!at) return;
    const isVertical = event.key === 'ArrowUp' || event.key === 'ArrowDown';
    const order = isVertical ? [...this.#points].sort((a, b) => a.row.quality - b.row.quality) : this.#byCost();
    const i = order.indexOf(at);
    const next = {
      ArrowRight: order[i + 1],
      ArrowUp: order[i + 1],
      ArrowLeft: order[i - 1],
      ArrowDown: order[i - 1],
      Home: order[0],
      End: order.at(-1),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    at.group.setAttribute('tabindex', '-1');
    next.group.setAttribute('tabindex', '0');
    next.group.focus();
  }
}
