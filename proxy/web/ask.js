// A prompt: where it would go and why, and, only when asked, the call itself.

import { events, inWords, post } from './api.js';
import { byId, h } from './dom.js';
import { attemptsTable } from './decisions.js';
import { count, duration, score, tokens, usd } from './format.js';
import { meter, stack } from './marks.js';

const EXAMPLES = [
  'Hello! How are you today?',
  'Write a Python function that merges two sorted lists, with tests.',
  'Prove that the square root of two is irrational, then show why the proof fails for four.',
];
const SHOWN = 6;
const FILTERS = {
  unavailable: 'cannot be called',
  needs: 'lack what this prompt needs',
  context: 'have too small a window',
  breaker: 'rest after failures',
};

const sum = (counts) => Object.values(counts).reduce((all, one) => all + one, 0);

export class Ask {
  #rankings;
  #stop = null;

  /** `onCalled` runs after a real call has ended. */
  constructor(rankings, onCalled) {
    this.#rankings = rankings;
    const prompt = byId('prompt');
    byId('examples').append(
      ...EXAMPLES.map((text) => h('button', { type: 'button', click: () => { prompt.value = text; this.explain(); } }, text)),
    );
    byId('ask').addEventListener('submit', (event) => {
      event.preventDefault();
      this.explain();
    });
    prompt.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.explain();
    });
    byId('send').addEventListener('click', async () => {
      if (this.#stop) return this.#stop.abort();
      if (!this.#body()) return undefined;
      await Promise.all([this.explain(), this.#send()]);
      return onCalled();
    });
    this.#empty();
  }

  /** Offer these profiles. */
  profiles({ data, default: first }) {
    const select = byId('ask-profile');
    select.disabled = false;
    const before = select.value || first;
    select.replaceChildren(...data.map((one) => h('option', { value: one.id, selected: one.id === before }, one.id.replaceAll('_', ' '))));
  }

  #empty() {
    byId('explained').replaceChildren(
      h('p', { class: 'empty' }, 'How hard the prompt looks, which model would answer, what it would cost and take, and why the others would not.'),
    );
  }

  #body() {
    const prompt = byId('prompt');
    if (!prompt.value.trim()) {
      prompt.focus();
      this.#empty();
      return null;
    }
    return {
      model: 'auto',
      routing_profile: byId('ask-profile').value || undefined,
      messages: [{ role: 'user', content: prompt.value }],
    };
  }

  /** Ask where the prompt would go. Calls no model. */
  async explain() {
    const body = this.#body();
    if (!body) return;
    const host = byId('explained');
    host.setAttribute('aria-busy', 'true');
    try {
      const response = await post('/v1/route?limit=400', body);
      this.#show(await response.json());
    } catch (error) {
      host.replaceChildren(h('p', { class: 'notice bad' }, inWords(error)));
    } finally {
      host.removeAttribute('aria-busy');
    }
  }

  #show(found) {
    const { difficulty, needs, candidates } = found;
    const [first, ...others] = candidates;
    const weights = this.#rankings.weights(found.profile);
    const asks = [...needs.features, `about ${tokens(needs.tokens)} tokens`].join(', ');
    byId('explained').replaceChildren(
      h(
        'div',
        { class: 'difficulty' },
        meter(difficulty.score, difficulty.band),
        h('p', {}, h('b', {}, difficulty.band), ` (${difficulty.score.toFixed(2)}), ${difficulty.category}${found.ranked_for ? ', ranked for it' : ''}. `,
          h('span', { class: 'hint' }, `Confidence ${difficulty.confidence.toFixed(2)}; needs ${asks}.`)),
      ),
      ...(found.problem ? [h('p', { class: 'notice' }, h('b', {}, 'None of them can be called yet. '), found.problem)] : []),
      first ? this.#chosen(first, found) : h('p', { class: 'notice bad' }, 'No candidate is left.'),
      ...(others.length ? [this.#alternatives(others, weights, found.considered - sum(found.removed))] : []),
      this.#skipped(found),
    );
  }

  #chosen(one, found) {
    return h(
      'div',
      { class: 'chosen-model' },
      h('p', { class: 'hint' }, found.problem ? 'Would be chosen' : 'Goes to'),
      h('p', { class: 'big' }, this.#rankings.nameOf(one.model)),
      h('p', { class: 'id' }, h('code', {}, one.offer), one.effort ? ` at effort ${one.effort}` : ''),
      h(
        'dl',
        { class: 'inline-facts' },
        h('div', {}, h('dt', {}, 'costs about'), h('dd', {}, one.expected_cost_usd === 0 ? 'nothing' : usd(one.expected_cost_usd))),
        h('div', {}, h('dt', {}, 'takes about'), h('dd', {}, duration(one.expected_latency_ms))),
        h('div', {}, h('dt', {}, 'score'), h('dd', {}, score(one.score))),
        h('div', {}, h('dt', {}, 'rank'), h('dd', {}, one.rank ?? '–')),
      ),
    );
  }

  #alternatives(others, weights, total) {
    return h(
      'table',
      { class: 'alternatives' },
      h('caption', {}, `If it fails, next in order (${count(total)} may be tried)`),
      h('thead', {}, h('tr', {}, ['Model', 'Score', 'Parts', 'Cost', 'Time'].map((text, i) => h('th', { scope: 'col', class: i === 0 || i === 2 ? null : 'number' }, text)))),
      h('tbody', {}, others.slice(0, SHOWN).map((one) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, this.#rankings.nameOf(one.model), one.effort ? h('span', { class: 'tag' }, one.effort) : null, h('small', {}, one.offer)),
          h('td', { class: 'number' }, score(one.score)),
          h('td', { class: 'picture' }, stack(one, weights)),
          h('td', { class: 'number' }, one.expected_cost_usd === 0 ? 'free' : usd(one.expected_cost_usd)),
          h('td', { class: 'number' }, duration(one.expected_latency_ms)),
        ),
      )),
    );
  }

  #skipped({ removed, rejected, considered }) {
    const total = sum(removed);
    if (!total) return h('p', { class: 'hint' }, `All ${count(considered)} candidates may be tried.`);
    return h(
      'details',
      { class: 'skipped' },
      h('summary', {}, `${count(total)} of ${count(considered)} skipped: ` + Object.entries(removed).map(([word, many]) => `${count(many)} ${FILTERS[word] ?? word}`).join(', ')),
      Object.keys(removed).map((word) => {
        const of = rejected.filter((one) => one.filter === word);
        const reasons = Map.groupBy(of, (one) => one.reason);
        return h('ul', {}, [...reasons].slice(0, 12).map(([reason, list]) => {
          const names = [...new Set(list.map((one) => this.#rankings.nameOf(one.model)))];
          const rest = names.length > 4 ? ` and ${names.length - 4} more` : '';
          return h('li', {}, h('b', {}, reason), h('span', { class: 'hint' }, ` ${names.slice(0, 4).join(', ')}${rest}`));
        }));
      }),
    );
  }

  async #send() {
    const body = { ...this.#body(), stream: true };
    const host = byId('answer');
    const button = byId('send');
    const text = h('div', { class: 'text', role: 'log', 'aria-label': 'Answer' });
    const thought = h('div', { class: 'thought' });
    const thinking = h('details', { class: 'thinking', hidden: true }, h('summary', {}, 'Thinking'), thought);
    const line = h('p', { class: 'hint', role: 'status' }, 'Calling …');
    host.hidden = false;
    host.replaceChildren(line, thinking, text);
    this.#stop = new AbortController();
    button.textContent = 'Stop';
    const began = performance.now();
    let first = null;
    let facts = '';
    let failed = null;
    try {
      const response = await post('/v1/chat/completions', body, this.#stop.signal);
      const header = (name) => response.headers.get(`x-orchestrator-${name}`);
      const attempts = Number(header('attempts'));
      facts = `${header('upstream') ?? 'answered'}${attempts > 1 ? `, at attempt ${attempts}` : ''}`;
      line.textContent = facts;
      for await (const event of events(response)) {
        if (event.error) throw new Error(event.error.message);
        const delta = event.choices?.[0]?.delta ?? {};
        const reasoning = delta.reasoning ?? delta.reasoning_content;
        if (reasoning) {
          thinking.hidden = false;
          thought.append(reasoning);
        }
        if (delta.content) {
          first ??= performance.now() - began;
          text.append(delta.content);
        }
      }
    } catch (error) {
      failed = error;
    }
    const seconds = `${duration(performance.now() - began)}${first === null ? '' : `, first word after ${duration(first)}`}`;
    line.textContent = [facts, seconds].filter(Boolean).join(' · ');
    if (failed?.name === 'AbortError') line.textContent += ' · stopped';
    else if (failed) host.append(h('p', { class: 'notice bad', role: 'alert' }, inWords(failed)));
    if (failed?.attempts?.length) host.append(attemptsTable(failed.attempts));
    this.#stop = null;
    button.textContent = 'Send it';
  }
}
