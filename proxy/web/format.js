// Numbers as people read them. An unknown one is a dash, never a zero.

export const DASH = '–';
const isKnown = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** Digits after the point that leave two significant ones. */
const digits = (value) => Math.min(8, Math.max(2, 1 - Math.floor(Math.log10(Math.abs(value)))));

export function usd(value) {
  if (!isKnown(value)) return DASH;
  if (value === 0) return '$0';
  const text = Math.abs(value).toLocaleString('en', {
    minimumFractionDigits: 2,
    maximumFractionDigits: digits(value),
  });
  return (value < 0 ? '−$' : '$') + text;
}

export function duration(ms) {
  if (!isKnown(ms)) return DASH;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  return age(seconds);
}

export function age(seconds) {
  if (!isKnown(seconds)) return DASH;
  const value = Math.max(0, seconds);
  if (value < 89.5) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  if (value < 172800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86400)} days`;
}

export function tokens(value) {
  if (!isKnown(value)) return DASH;
  if (value < 1000) return String(value);
  if (value < 999500) return `${Math.round(value / 1000)}k`;
  return `${(value / 1e6).toFixed(value % 1e6 && value < 1e7 ? 1 : 0)}M`;
}

export const count = (value) => (isKnown(value) ? value.toLocaleString('en') : DASH);
export const whole = (value) => (isKnown(value) ? String(Math.round(value)) : DASH);
export const score = (value) => (isKnown(value) ? value.toFixed(3) : DASH);
export const plural = (value, word) => `${count(value)} ${word}${value === 1 ? '' : 's'}`;

/** Times of the warehouse are UTC and say so only sometimes. */
export const when = (text) => new Date(/Z|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`);

export const day = (text) => (text ? when(text).toISOString().slice(0, 10) : DASH);

export const clock = (text) =>
  when(text).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

const SOURCES = {
  openrouter: 'OpenRouter',
  lmsys_arena: 'LMSYS Arena',
  huggingface: 'Hugging Face',
  hub_evaluations: 'Hub evaluations',
  artificial_analysis: 'Artificial Analysis',
  models_dev: 'models.dev',
  genai_prices: 'genai-prices',
  litellm_prices: 'LiteLLM',
  upstream: 'own servers',
  outcomes: 'own outcomes',
};
export const sourceName = (source) => SOURCES[source] ?? source.replaceAll('_', ' ');
