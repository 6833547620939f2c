// Where one candidate's numbers come from: the rows of the sources, asked for when somebody looks.

import { get, inWords } from './api.js';
import { h, later } from './dom.js';
import { day, duration, score, sourceName, tokens, usd, whole } from './format.js';
import { BASES, basisSign, Z } from './marks.js';

const UNITS = {
  arena_rating: (value) => whole(value),
  ms: duration,
  tokens_per_s: (value) => `${whole(value)} tokens/s`,
  usd_per_call: (value) => `${usd(value)} a call`,
  usd_per_mtok: (value) => `${usd(value)} per M tokens`,
  tokens: (value) => `${tokens(value)} tokens`,
};
const REASONS = {
  pinned: 'pinned by hand',
  exact: 'same name',
  linked: 'linked',
  alone: 'alone',
};
const METRICS = {
  price_in_usd_per_mtok: 'prompt price',
  price_out_usd_per_mtok: 'completion price',
  price_reasoning_usd_per_mtok: 'reasoning price',
  context_tokens: 'context',
  latency_p50_ms: 'median latency',
  throughput_p50_tokens_per_s: 'median speed',
};
const ORDER = ['quality', 'latency', 'throughput', 'cost', 'context'];
const MOST = 14;

/** Signals of this offer at this effort; of a kind that was seen only at others, those. */
function chosenSignals(signals, row) {
  const of = signals.filter((one) => one.offer_id === null || one.offer_id === row.offer);
  return ORDER.flatMap((kind) => {
    const all = of.filter((one) => one.signal === kind);
    const exact = all.filter((one) => one.effort === null || one.effort === row.effort);
    return exact.length ? exact : all;
  });
}

export class Evidence {
  #host;
  #known = new Map();
  #publication = null;
  #row = null;
  #fetch;

  constructor(host) {
    this.#host = host;
    this.#fetch = later((row) => this.#load(row), 120);
    this.clear();
  }

  clear() {
    this.#row = null;
    this.#host.replaceChildren(
      h('p', { class: 'empty' }, 'Point at a model, or reach the plot with the tab key and walk with the arrows, to see what its numbers rest on.'),
    );
  }

  /** Show a candidate of a chart at once, and its sources when they have come. */
  show(row, model, publication) {
    if (publication !== this.#publication) {
      this.#publication = publication;
      this.#known.clear();
    }
    this.#row = row;
    const known = this.#known.get(row.model);
    this.#draw(row, model, known ?? null);
    if (!known) this.#fetch(row);
  }

  async #load(row) {
    let found;
    try {
      found = await get(`/v1/models/evidence?model=${encodeURIComponent(row.model)}`);
      this.#known.set(row.model, found);
    } catch (error) {
      found = { problem: inWords(error) };
    }
    if (this.#row === row) this.#draw(row, found.model ?? null, found);
  }

  #draw(row, model, found) {
    const name = model?.name ?? row.model;
    const facts = [
      ['Quality', [
        h('b', {}, whole(row.quality)),
        row.quality_sd ? ` ± ${whole(Z * row.quality_sd)}` : '',
        h('span', { class: 'basis' }, basisSign(row.quality_basis ?? 'missing'), ` ${BASES[row.quality_basis] ?? 'not known'}`),
      ]],
      ['Typical call', [h('b', {}, row.cost_usd === 0 ? 'free' : usd(row.cost_usd)), ` in ${duration(row.latency_ms)}`]],
      ['Context', [`${tokens(row.context_tokens)} tokens`]],
      ['Score', [`${score(row.score)}, rank ${row.rank}`]],
      ['Called as', [h('code', {}, row.offer), row.effort ? ` at effort ${row.effort}` : '']],
    ];
    if (row.problem) facts.push(['Not now', [row.problem]]);
    this.#host.replaceChildren(
      h('h3', {}, name),
      h('p', { class: 'id' }, row.model),
      h('dl', { class: 'facts' }, facts.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value)))),
      this.#sources(row, found),
    );
  }

  #sources(row, found) {
    if (found === null) return h('p', { class: 'hint' }, 'Looking up its sources …');
    if (found.problem) return h('p', { class: 'bad' }, found.problem);
    const of = chosenSignals(found.signals, row);
    return h(
      'div',
      {},
      of.length > 0 && h(
        'table',
        { class: 'signals' },
        h('caption', {}, 'Rests on'),
        h('tbody', {}, of.slice(0, MOST).map((one, i) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, h('span', { class: of[i - 1]?.signal === one.signal ? 'unseen' : null }, one.signal)),
            h('td', {}, (UNITS[one.unit] ?? String)(one.value), h('span', { class: 'hint' }, one.effort && one.effort !== row.effort ? `${one.basis}, at effort ${one.effort}` : one.basis)),
            h('td', {}, sourceName(one.source), h('span', { class: 'hint' }, `${METRICS[one.metric] ?? one.metric.replaceAll('_', ' ')}, ${day(one.observed_at)}`)),
          ),
        )),
      ),
      of.length > MOST && h('p', { class: 'hint' }, `and ${of.length - MOST} more, in published.signals`),
      found.records.length > 0 && h(
        'details',
        { class: 'records' },
        h('summary', {}, `${found.records.length} records are this model`),
        h('ul', {}, found.records.slice(0, 40).map((one) =>
          h(
            'li',
            {},
            h('code', {}, one.record_id),
            h('span', { class: 'hint' }, ` ${sourceName(one.source)}, ${REASONS[one.match_reason] ?? one.match_reason}${one.match_reason === 'linked' ? ` ${(100 * one.match_probability).toFixed(1)} %` : ''}`),
          ),
        )),
      ),
      !of.length && !found.records.length && h('p', { class: 'hint' }, 'The publication names no source row for it.'),
    );
  }
}
