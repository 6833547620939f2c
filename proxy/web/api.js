// Talking to the proxy this page came from. The key, where one is needed, lives in this module's memory only.

let key = null;
let asking = null;
let askForKey = async () => null;

/** What to do when a key is needed: `ask(wasRefused)` gives one, or null when the person would rather not. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

export class ApiError extends Error {
  constructor(status, error) {
    super(error?.message || `The proxy answered with status ${status}.`);
    this.status = status;
    this.code = error?.code ?? error?.type ?? null;
    this.attempts = error?.attempts ?? error?.metadata?.attempts ?? null;
  }
}

async function failure(response) {
  let error = null;
  try {
    ({ error } = await response.json());
  } catch {
    // Not the proxy's own words: the status has to do.
  }
  return new ApiError(response.status, error);
}

async function ask(path, options) {
  const used = key;
  const headers = { ...options.headers, ...(used ? { authorization: `Bearer ${used}` } : {}) };
  const response = await fetch(path, { ...options, headers, cache: 'no-cache' });
  if (response.status !== 401) return response;
  if (key === used) {
    // Several requests can find out at once; one question is enough.
    asking ??= askForKey(used !== null).finally(() => (asking = null));
    const given = await asking;
    if (given === null) throw await failure(response);
    key = given;
  }
  return ask(path, options);
}

export const hasKey = () => key !== null;

export function forgetKey() {
  key = null;
}

/** GET as JSON. Raises `ApiError`, or `TypeError` when the proxy cannot be reached. */
export async function get(path) {
  const response = await ask(path, {});
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** POST JSON; gives the response itself, whose body may be a stream. */
export async function post(path, body, signal) {
  const response = await ask(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok) throw await failure(response);
  return response;
}

/** The events of a stream as objects, until `[DONE]`; comments are left out. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const lines = rest.split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith('data:')) continue;
        const data = line.slice(5).trim();
        if (data === '[DONE]') return;
        yield JSON.parse(data);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** An error in words for people. */
export function inWords(error) {
  if (error instanceof ApiError && error.status === 401) return 'Locked: this proxy shows nothing and calls nothing without its key.';
  if (error instanceof ApiError) return error.message;
  if (error instanceof TypeError) return 'The proxy does not answer. Is it still running?';
  return error.message || String(error);
}
