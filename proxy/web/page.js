// Starts the page and keeps it fresh: the state every few seconds while somebody looks, the rankings when a new
// publication is in use. What a part shows is its own module's.

import { forgetKey, get, hasKey, inWords, onKeyNeeded } from './api.js';
import { Ask } from './ask.js';
import { Decisions } from './decisions.js';
import { byId } from './dom.js';
import { Rankings } from './rankings.js';
import { showFigures, showHealth, showNoFigures, showState } from './status.js';

const EVERY_MS = 5000;
const AT_MOST_MS = 60000;

const rankings = new Rankings();
const decisions = new Decisions((model) => rankings.nameOf(model));
const ask = new Ask(rankings, () => refresh());
let publication = null;
let timer = null;
let wait = EVERY_MS;

function trouble(text) {
  const host = byId('trouble');
  host.hidden = text === null;
  if (text !== null && host.textContent !== text) host.textContent = text;
}

async function refresh() {
  clearTimeout(timer);
  try {
    const [status, traffic, { data }] = await Promise.all([get('/v1/status'), get('/v1/traffic'), get('/v1/decisions?limit=20')]);
    showHealth(status);
    showState(status);
    if (status.publication.id && status.publication.id !== publication) {
      const profiles = await get('/v1/routing_profiles');
      ask.profiles(profiles);
      await rankings.start(profiles, status.upstreams);
      publication = status.publication.id;
    }
    showFigures(status, traffic, (model) => rankings.nameOf(model));
    decisions.show(data);
    trouble(publication === null ? status.publication.problem : null);
    wait = EVERY_MS;
  } catch (error) {
    trouble(inWords(error));
    byId('health').replaceChildren();
    wait = Math.min(AT_MOST_MS, wait * 2);
    if (error.status === 401) {
      // Locked until a key is given: asking again would only put up the same question.
      byId('key').hidden = false;
      return;
    }
  }
  timer = setTimeout(tick, wait);
}

function tick() {
  if (document.hidden) timer = setTimeout(tick, EVERY_MS);
  else refresh();
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && timer !== null) refresh();
});

function keyDialog(wasRefused) {
  const dialog = byId('key-dialog');
  const value = byId('key-value');
  byId('key-refused').hidden = !wasRefused;
  value.value = '';
  dialog.showModal();
  return new Promise((resolve) => {
    const done = (given) => {
      dialog.onclose = dialog.onsubmit = null;
      value.value = '';
      dialog.close();
      byId('key').hidden = false;
      byId('key').textContent = given === null ? 'Enter key' : 'Forget key';
      resolve(given);
    };
    dialog.onclose = () => done(null);
    byId('key-cancel').onclick = () => done(null);
    dialog.onsubmit = (event) => {
      event.preventDefault();
      done(value.value);
    };
  });
}

onKeyNeeded(keyDialog);
byId('key').addEventListener('click', () => {
  if (hasKey()) {
    forgetKey();
    location.reload();
  } else refresh();
});

showNoFigures();
refresh();
