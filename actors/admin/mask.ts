/**
 * A state made fit to be seen: of what the server keeps, only what is known to be harmless is shown.
 *
 * The rule is the other way round than a list of secrets would be: a text is shown if it has the form of a pid, of an opaque
 * id, or of a word of the program, and otherwise only its length is; bytes never are; a number is shown unless its name speaks of something
 * secret. So a field that somebody adds tomorrow is masked until its form is known here. Phone numbers, codes, keys, nonces,
 * tokens and ciphertexts have no such form.
 */

import { formatPid, formatRef, Pid, Ref } from '../../runtime/index.ts';

/** What may be shown: pids, user ids and addresses `user.device.creation`, group ids, words and names of the program. */
const HARMLESS: readonly RegExp[] = [
  /^<[\w-]{1,64}\.\d+\.\d+\.\d+>$/,
  /^\d{15}(\.\d{1,10}){0,2}$/,
  /^[a-z]+([-_.:/ ][a-z]+){0,5}(\.\d{1,3})?$/,
  /^(APP|RT|SUP|ADM)_[A-Z_]+$/,
  /^\[.* (more|cycle)\]$/,
  /^\[(cycle|function|object|\w+ of \d+)\]$/,
  /^$/,
];

/** A word of the program is short; what is longer may be a key in lower case. */
const WORD_CHARS_MAX = 40;

const SECRET_NAME = /phone|number|code|secret|key|token|nonce|signature|cipher|proof|password|hash|address|body/i;
/** Names that the rule above would hit and that count things. */
const COUNTING_NAME = /(count|max|min|ms|bytes|at|id|len|length|size)$/i;

/** Plain JSON. `value` is a snapshot: bounded in depth and size already. */
export function mask(value: unknown, name: string = ''): unknown {
  switch (typeof value) {
    case 'string':
      return maskText(value, name);
    case 'number':
      return isSecretName(name) ? '[number]' : value;
    case 'boolean':
    case 'undefined':
      return value;
    case 'object':
      return value === null ? null : maskObject(value, name);
    default:
      return `[${typeof value}]`;
  }
}

function maskObject(value: object, name: string): unknown {
  if (value instanceof Pid) return formatPid(value);
  if (value instanceof Ref) return formatRef(value);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((each) => mask(each, name));
  if (value instanceof Set) return [...value].map((each) => mask(each, name));
  if (value instanceof Map) return [...value].map(([key, each]) => [mask(key, name), mask(each, nameOf(key, name))]);
  if (value instanceof Date) return value.getTime();
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [maskKey(key), mask(each, key)]));
}

/** What lies under a key of a Map has the Map's name, as its keys are data; a Map in `codes` holds codes. */
function nameOf(key: unknown, name: string): string {
  return typeof key === 'string' && isSecretName(name) ? name : '';
}

/** Fields are named by the program, unless an object is used as a map. */
function maskKey(key: string): string {
  return /^[A-Za-z_][\w-]{0,63}$/.test(key) || isHarmless(key) ? key : `[text of ${key.length}]`;
}

function maskText(text: string, name: string): string {
  if (isPlaceholder(text) || (isHarmless(text) && !isSecretName(name))) return text;
  return `[text of ${text.length}]`;
}

function isHarmless(text: string): boolean {
  return text.length <= WORD_CHARS_MAX && HARMLESS.some((form) => form.test(text));
}

function isPlaceholder(text: string): boolean {
  return /^\[(cycle|function|\d+ more)\]$/.test(text);
}

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !COUNTING_NAME.test(name);
}
