// How the proxy is: figures since it started, the publication and its sources, upstreams, breakers.

import { byId, h } from './dom.js';
import { age, count, DASH, duration, plural, sourceName, tokens, usd } from './format.js';

/** Sources older than this are said to be old; the fastest are refreshed hourly, the slowest daily. */
const OLD_S = { openrouter: 6 * 3600 };
const OLD_BY_DEFAULT_S = 3 * 86400;
const ORIGINS = { live: 'live', cache: 'last good copy', directory: 'from a directory', bundled: 'bundled' };

function figure(term, value, note, isBad = false) {
  return h('div', { class: isBad ? 'bad' : null }, h('dt', {}, term), h('dd', {}, value), h('dd', { class: 'note' }, note));
}

/** Before anything is known. */
export function showNoFigures() {
  byId('figures').replaceChildren(...['Publication', 'Calls', 'Failed', 'Failovers', 'Spent', 'Saved'].map((term) => figure(term, DASH, '')));
}

/** `nameOf` gives a model's name for people. */
export function showFigures(status, traffic, nameOf) {
  const { publication } = status;
  const failed = Object.entries(traffic.by_status).filter(([code]) => Number(code) >= 400 && code !== '499');
  const failures = failed.reduce((sum, [, many]) => sum + many, 0);
  byId('figures').replaceChildren(
    figure(
      'Publication',
      publication.id ? `${age(publication.age_s)} old` : 'none',
      publication.problem ?? `${count(publication.models)} models, ${count(publication.callable_candidates)} callable candidates`,
      publication.problem !== null,
    ),
    figure('Calls', count(traffic.calls), traffic.running ? `${count(traffic.running)} running` : `in ${age(status.uptime_s)}`),
    figure('Failed', count(failures), failures ? failed.map(([code, many]) => `${count(many)} × ${code}`).join(', ') : 'none', failures > 0),
    figure('Failovers', count(traffic.failovers), 'went on to the next'),
    figure('Spent', usd(traffic.spent_usd), `${tokens(traffic.tokens_in)} tokens in, ${tokens(traffic.tokens_out)} out`),
    figure('Saved', usd(traffic.saved_usd), traffic.yardstick ? `against always ${nameOf(traffic.yardstick)}` : 'nothing to compare with yet'),
  );
}

export function showHealth(status) {
  const isReady = status.upstreams.some((one) => one.problem === null) && status.publication.id;
  const [word, tone] = status.publication.problem
    ? [status.publication.id ? 'degraded' : 'nothing published', 'bad']
    : isReady
      ? ['ready', 'good']
      : ['no upstream', 'fair'];
  byId('health').replaceChildren(h('span', { class: `light ${tone}` }, word));
}

const light = (tone, text) => h('span', { class: `light ${tone}` }, text);

export function showState(status) {
  const { publication, upstreams, breakers, outcomes } = status;
  const sources = Object.entries(publication.source_ages_s ?? {}).sort(([a], [b]) => a.localeCompare(b));
  byId('sources').replaceChildren(
    sources.length
      ? h('table', {}, h('tbody', {}, sources.map(([source, seconds]) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, light(seconds > (OLD_S[source] ?? OLD_BY_DEFAULT_S) ? 'fair' : 'good', sourceName(source))),
            h('td', { class: 'number' }, age(seconds)),
            h('td', {}, ORIGINS[publication.source_origins[source]] ?? publication.source_origins[source]),
          ),
        )))
      : h('p', { class: 'empty' }, 'Nothing has been published. Run: ', h('code', {}, 'orchestrator refresh')),
    ...(publication.id ? [h('p', { class: 'hint' }, `Publication ${publication.id}`)] : []),
  );
  byId('upstreams').replaceChildren(
    upstreams.length
      ? h('table', {}, h('tbody', {}, upstreams.map((one) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, light(one.problem === null ? 'good' : 'fair', one.name), one.is_local ? h('span', { class: 'tag' }, 'local') : null),
            h('td', {}, one.problem ?? 'can be called'),
          ),
        )))
      : h('p', { class: 'empty' }, 'No upstream is configured.'),
    ...(outcomes.problem ? [h('p', { class: 'bad' }, `Outcomes: ${outcomes.problem}`)] : []),
    ...(outcomes.dropped ? [h('p', { class: 'bad' }, `${plural(outcomes.dropped, 'outcome')} lost`)] : []),
  );
  byId('breakers').replaceChildren(
    breakers.length
      ? h('table', {}, h('tbody', {}, breakers.map((one) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, light({ closed: 'fair', open: 'bad' }[one.state] ?? 'fair', one.state.replace('_', '-'))),
            h('td', {}, h('code', {}, one.key), h('small', {}, (one.reason ?? '').replaceAll('_', ' '))),
            h('td', { class: 'number' }, one.ends_in_s !== null ? `trial in ${duration(one.ends_in_s * 1000)}` : plural(one.failures, 'failure')),
          ),
        )))
      : h('p', { class: 'empty' }, 'All closed: nothing has failed lately.'),
  );
}
