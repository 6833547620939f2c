// The last decisions with their attempts, newest first. Open ones stay open while the list moves.

import { byId, h } from './dom.js';
import { age, clock, duration, plural, usd, when } from './format.js';

/** Attempts of one call, in order. */
export function attemptsTable(attempts) {
  return h(
    'table',
    { class: 'attempts' },
    h('thead', {}, h('tr', {}, ['#', 'Offer', 'Outcome', 'Cause', 'Status', 'Time'].map((text) => h('th', { scope: 'col', class: /#|Status|Time/.test(text) ? 'number' : null }, text)))),
    h('tbody', {}, attempts.map((one, i) =>
      h(
        'tr',
        {},
        h('td', { class: 'number' }, String(i + 1)),
        h('th', { scope: 'row' }, h('code', {}, one.offer), one.effort ? h('span', { class: 'tag' }, one.effort) : null),
        h('td', {}, h('span', { class: `light ${one.outcome === 'answered' ? 'good' : 'bad'}` }, words(one.outcome))),
        h('td', {}, words(one.cause)),
        h('td', { class: 'number' }, one.status ?? '–'),
        h('td', { class: 'number' }, duration(one.ms)),
      ),
    )),
  );
}

const words = (text) => (text ?? '–').replaceAll('_', ' ');

export class Decisions {
  #host = byId('decision-list');
  #nameOf;
  #open = new Set();
  #shown = '';

  constructor(nameOf) {
    this.#nameOf = nameOf;
  }

  show(list) {
    const ids = list.map((one) => one.id).join(' ');
    if (ids === this.#shown && list.length) {
      for (const time of this.#host.querySelectorAll('time')) time.textContent = ago(time.dateTime);
      return;
    }
    const focused = document.activeElement?.closest?.('#decision-list details')?.dataset.id;
    this.#shown = ids;
    this.#host.replaceChildren(
      ...(list.length
        ? list.map((one) => this.#decision(one))
        : [h('p', { class: 'empty' }, 'No call yet. Send one from the box above, or point an OpenAI client at ', h('code', {}, `${location.origin}/v1`), '.')]),
    );
    if (focused) this.#host.querySelector(`[data-id="${CSS.escape(focused)}"] summary`)?.focus();
  }

  #decision(one) {
    const last = one.attempts.at(-1);
    const isAnswered = last?.outcome === 'answered';
    const asked = one.asked ?? one.named.join(', ');
    const facts = [
      one.difficulty ? `${one.difficulty.band} ${one.difficulty.score.toFixed(2)}, ${one.difficulty.category}` : null,
      `profile ${one.profile}`,
      one.needs.features.length ? `needs ${one.needs.features.join(', ')}` : null,
      one.dropped_fields.length ? `left out ${one.dropped_fields.join(', ')}` : null,
      `at ${clock(one.at)}`,
      `id ${one.id}`,
    ];
    return h(
      'details',
      {
        'data-id': one.id,
        open: this.#open.has(one.id),
        toggle: (event) => (event.target.open ? this.#open.add(one.id) : this.#open.delete(one.id)),
      },
      h(
        'summary',
        {},
        h('span', { class: `light ${isAnswered ? 'good' : 'bad'}` }, isAnswered ? 'answered' : words(last?.outcome ?? 'not tried')),
        h('span', { class: 'way' }, h('span', { class: 'asked' }, asked), h('span', { class: 'arrow', 'aria-label': 'went to' }, '→'), h('b', {}, last ? this.#nameOf(last.model) : 'nobody')),
        h('span', { class: 'facts' },
          h('span', {}, one.difficulty?.band ?? ''),
          h('span', {}, plural(one.attempts.length, 'attempt')),
          h('span', {}, usd(one.cost_usd)),
          h('span', {}, duration(one.ms)),
          h('time', { datetime: one.at }, ago(one.at))),
      ),
      h(
        'div',
        { class: 'inside' },
        one.attempts.length ? attemptsTable(one.attempts) : h('p', { class: 'hint' }, 'No candidate was called.'),
        one.skipped.length > 0 && h('ul', { class: 'hint' }, one.skipped.map((skip) => h('li', {}, h('code', {}, skip.offer), ` passed over: ${skip.reason}`))),
        h('p', { class: 'hint' }, facts.filter(Boolean).join(' · ')),
      ),
    );
  }
}

const ago = (text) => `${age((Date.now() - when(text)) / 1000)} ago`;
