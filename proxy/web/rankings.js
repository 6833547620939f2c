// The rankings: a profile and a difficulty chosen, the plot and the table of what follows.

import { get, inWords } from './api.js';
import { byId, h, later } from './dom.js';
import { Evidence } from './evidence.js';
import { count, DASH, duration, plural, score, tokens, usd, whole } from './format.js';
import { BASES, basisSign, interval, PARTS, stack, Z } from './marks.js';
import { Plot } from './plot.js';

const BANDS = { easy: 'Easy', medium: 'Medium', hard: 'Hard' };
const FIRST = 25;

export class Rankings {
  #profiles = [];
  #upstreams = new Map();
  #profile = null;
  #band = 'medium';
  #chart = null;
  #rows = [];
  #most = FIRST;
  #chosen = null;
  #plot;
  #evidence;
  #asked = 0;

  constructor() {
    this.#evidence = new Evidence(byId('evidence'));
    this.#plot = new Plot(byId('plot'), (row) => this.#choose(row));
    const again = later(() => {
      this.#most = FIRST;
      this.#draw();
    }, 80);
    byId('filter').addEventListener('input', again);
    byId('every').addEventListener('change', again);
    byId('callable').addEventListener('change', again);
    byId('more').addEventListener('click', () => {
      this.#most = this.#most === FIRST ? Infinity : FIRST;
      this.#draw();
    });
    byId('plot-legend').append(
      ...['rated', 'measured', 'inferred'].map((basis) => h('span', {}, basisSign(basis), ` ${BASES[basis]}`)),
      h('span', { class: 'front-sign' }, 'not beaten in both'),
    );
  }

  /** The name for people of a model's id. */
  nameOf(modelId) {
    return this.#chart?.models[modelId]?.name ?? modelId;
  }

  weights(profile) {
    return this.#profiles.find((one) => one.id === profile)?.weights;
  }

  /** Offer these profiles, and show the chosen or the default one; upstreams say what can be called. */
  async start({ data, default: first }, upstreams) {
    this.#upstreams = new Map(upstreams.map((one) => [one.name, one]));
    this.#profiles = data;
    this.#profile = data.some((one) => one.id === this.#profile) ? this.#profile : first;
    this.#choices('profiles', data.map((one) => [one.id, one.id.replaceAll('_', ' ')]), this.#profile, (id) => (this.#profile = id));
    this.#choices('bands', Object.entries(BANDS), this.#band, (band) => (this.#band = band));
    await this.load();
  }

  #choices(host, options, chosen, take) {
    const field = byId(host);
    const legend = field.querySelector('legend');
    field.replaceChildren(
      legend,
      ...options.map(([value, text]) =>
        h(
          'label',
          {},
          h('input', { type: 'radio', name: host, value, checked: value === chosen, change: () => { take(value); this.load(); } }),
          h('span', {}, text),
        ),
      ),
    );
  }

  /** Ask for the chosen ranking and draw it. */
  async load() {
    const asked = (this.#asked += 1);
    byId('rankings').setAttribute('aria-busy', 'true');
    try {
      const chart = await get(`/v1/models/chart?profile=${encodeURIComponent(this.#profile)}&band=${this.#band}`);
      if (asked !== this.#asked) return;
      this.#take(chart);
    } catch (error) {
      if (asked !== this.#asked) return;
      byId('ranking').replaceChildren(h('caption', { class: 'bad' }, inWords(error)));
      this.#plot.show([], () => '');
    } finally {
      if (asked === this.#asked) byId('rankings').removeAttribute('aria-busy');
    }
  }

  #take(chart) {
    const { columns } = chart;
    this.#chart = chart;
    this.#rows = chart.rows.map((values) => {
      const row = Object.fromEntries(columns.map((name, i) => [name, values[i]]));
      const upstream = this.#upstreams.get(row.upstream);
      row.problem = upstream ? upstream.problem : `upstream ${row.upstream} is not configured`;
      return row;
    });
    const isMixed = this.#rows.some((row) => row.problem === null) && this.#rows.some((row) => row.problem !== null);
    // Where nothing can be called, saying so of every single one would only be grey on grey.
    for (const row of this.#rows) row.isOut = isMixed && row.problem !== null;
    byId('callable').disabled = !isMixed;
    if (!isMixed) byId('callable').checked = false;
    this.#chosen = null;
    this.#plot.choose(null);
    this.#evidence.clear();
    const about = this.#profiles.find((one) => one.id === this.#profile);
    byId('profile-about').replaceChildren(
      about?.description ?? '',
      ...PARTS.filter((part) => about?.weights[part]).map((part) =>
        h('span', { class: `weight weight-${part}` }, `${part} ${Math.round(100 * about.weights[part])} %`),
      ),
    );
    this.#draw();
  }

  #visible() {
    const words = byId('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
    const onlyCallable = byId('callable').checked;
    const seen = new Set();
    return this.#rows.filter((row) => {
      if (onlyCallable && row.problem !== null) return false;
      if (words.length) {
        const text = `${this.nameOf(row.model)} ${row.model} ${row.offer} ${row.host ?? ''} ${row.effort ?? ''}`.toLowerCase();
        if (!words.every((word) => text.includes(word))) return false;
      }
      if (!byId('every').checked) {
        if (seen.has(row.model)) return false;
        seen.add(row.model);
      }
      return true;
    });
  }

  #draw() {
    if (!this.#chart) return;
    const rows = this.#visible();
    const known = rows.filter((row) => row.quality !== null);
    const low = Math.min(...known.map((row) => row.quality - Z * (row.quality_sd ?? 0)));
    const high = Math.max(...known.map((row) => row.quality + Z * (row.quality_sd ?? 0)));
    const weights = this.weights(this.#profile);
    const label = (row) => this.nameOf(row.model) + (row.effort ? ` (${row.effort})` : '');
    this.#plot.show(rows, label);
    byId('ranking').replaceChildren(
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          h('th', { scope: 'col', class: 'number' }, '#'),
          h('th', { scope: 'col' }, 'Model'),
          h('th', { scope: 'col', class: 'number' }, 'Quality'),
          h('th', { scope: 'col', class: 'picture' }, h('span', { class: 'hint' }, '± 95 %')),
          h('th', { scope: 'col', class: 'number' }, 'Score'),
          h('th', { scope: 'col', class: 'picture' }, PARTS.filter((part) => weights?.[part]).map((part) => h('span', { class: `weight weight-${part}` }, part))),
          h('th', { scope: 'col', class: 'number' }, '$ a call'),
          h('th', { scope: 'col', class: 'number' }, 'Time'),
          h('th', { scope: 'col', class: 'number' }, 'Context'),
        ),
      ),
      h('tbody', {}, rows.slice(0, this.#most).map((row) => this.#line(row, low, high, weights))),
    );
    if (!rows.length) {
      const why = this.#rows.length ? 'Nothing here matches the filter.' : 'This publication ranks nothing for this profile.';
      byId('ranking').append(h('tbody', {}, h('tr', {}, h('td', { colspan: 9, class: 'empty' }, why))));
    }
    const what = byId('every').checked ? 'candidate' : 'model';
    byId('shown').textContent = `${plural(rows.length, what)}${this.#rows.length > rows.length ? ` of ${count(this.#rows.length)} candidates` : ''}`;
    const more = byId('more');
    more.hidden = rows.length <= FIRST;
    more.textContent = this.#most === FIRST ? `Show all ${count(rows.length)}` : `Show the first ${FIRST}`;
    this.#mark();
  }

  #line(row, low, high, weights) {
    const tags = [
      row.is_local && h('span', { class: 'tag' }, 'local'),
      row.is_free && h('span', { class: 'tag' }, 'free'),
      row.effort && h('span', { class: 'tag' }, `effort ${row.effort}`),
      row.isOut && h('span', { class: 'tag off', title: row.problem }, 'not callable'),
    ];
    const line = h(
      'tr',
      { class: row.isOut ? 'out' : null },
      h('td', { class: 'number rank' }, String(row.rank)),
      h(
        'th',
        { scope: 'row' },
        h('button', { type: 'button', class: 'name', click: () => this.#pick(row) }, this.nameOf(row.model)),
        tags,
        h('small', {}, row.host ? `${row.model} on ${row.host}` : row.offer),
      ),
      h('td', { class: 'number' }, whole(row.quality), row.quality_sd ? h('small', { class: 'spread' }, `± ${whole(Z * row.quality_sd)}`) : null),
      h('td', { class: 'picture' }, row.quality === null ? DASH : interval(row.quality, row.quality_sd, row.quality_basis, low, high)),
      h('td', { class: 'number' }, score(row.score)),
      h('td', { class: 'picture' }, stack(row, weights)),
      h('td', { class: 'number' }, row.cost_usd === 0 ? 'free' : usd(row.cost_usd)),
      h('td', { class: 'number' }, duration(row.latency_ms)),
      h('td', { class: 'number' }, tokens(row.context_tokens)),
    );
    line.row = row;
    return line;
  }

  #pick(row) {
    this.#choose(row);
    this.#plot.choose(row);
    byId('evidence').scrollIntoView({ block: 'nearest' });
  }

  #choose(row) {
    this.#chosen = row;
    this.#evidence.show(row, this.#chart.models[row.model], this.#chart.publication);
    this.#mark();
  }

  #mark() {
    for (const line of byId('ranking').querySelectorAll('tbody tr')) {
      line.classList.toggle('chosen', this.#chosen !== null && line.row === this.#chosen);
    }
  }
}
