// Small pictures that stand in tables: parts of a score, a quality with its interval, a difficulty.

import { s } from './dom.js';

export const PARTS = ['quality', 'latency', 'cost', 'context'];

/** Two standard deviations each way hold the true value nineteen times in twenty. */
export const Z = 1.96;

/** A score as the weighted parts it is the sum of; the whole width is 1. */
export function stack(row, weights) {
  const width = 96;
  let at = 0;
  const bars = [];
  const words = [];
  for (const part of PARTS) {
    const share = (weights?.[part] ?? 0) * (row[`${part}_score`] ?? 0);
    if (share <= 0) continue;
    words.push(`${part} ${share.toFixed(2)}`);
    bars.push(s('rect', { class: `part-${part}`, x: (at * width).toFixed(2), y: 2, width: (share * width).toFixed(2), height: 6 }));
    at += share;
  }
  return s(
    'svg',
    { class: 'stack', width, height: 10, role: 'img', 'aria-label': words.join(', ') },
    s('title', {}, words.join(' + ')),
    s('rect', { class: 'ground', x: 0, y: 2, width, height: 6 }),
    bars,
  );
}

/** A quality on the scale `low`..`high`, with the interval that holds it 19 times in 20. */
export function interval(quality, deviation, basis, low, high) {
  const width = 96;
  const at = (value) => 4 + ((Math.min(Math.max(value, low), high) - low) / (high - low || 1)) * (width - 8);
  const spread = Z * (deviation ?? 0);
  return s(
    'svg',
    { class: 'interval', width, height: 12, 'aria-hidden': 'true' },
    s('line', { class: 'ground', x1: 4, x2: width - 4, y1: 6, y2: 6 }),
    spread > 0 && s('line', { class: 'spread', x1: at(quality - spread), x2: at(quality + spread), y1: 6, y2: 6 }),
    s('circle', { class: `dot ${basis ?? 'missing'}`, cx: at(quality), cy: 6, r: 3.2 }),
  );
}

/** A difficulty from 0 to 1 on its three bands. */
export function meter(difficulty, band) {
  const width = 300;
  const x = Math.min(Math.max(difficulty, 0), 1) * width;
  const zone = (name, from) =>
    s(
      'g',
      { class: name === band ? 'zone here' : 'zone' },
      s('rect', { x: from * (width / 3) + 1, y: 10, width: width / 3 - 2, height: 8 }),
      s('text', { x: (from + 0.5) * (width / 3), y: 36, 'text-anchor': 'middle' }, name),
    );
  return s(
    'svg',
    { class: 'meter', viewBox: `-6 0 ${width + 12} 42`, role: 'img', 'aria-label': `Difficulty ${difficulty.toFixed(2)} of 1, ${band}` },
    zone('easy', 0),
    zone('medium', 1),
    zone('hard', 2),
    s('path', { class: 'needle', d: `M${x} 20 l-5 -13 h10 z` }),
  );
}

/** What the signs of a plot and an interval mean. */
export function basisSign(basis) {
  return s(
    'svg',
    { class: 'sign', width: 10, height: 10, 'aria-hidden': 'true' },
    s('circle', { class: `dot ${basis}`, cx: 5, cy: 5, r: 3.5 }),
  );
}

export const BASES = {
  rated: 'rated by people',
  measured: 'measured by benchmarks',
  inferred: 'inferred from relatives',
  missing: 'not known',
};
