/**
 * The setting `push`: `none`, `log`, or a file that names the providers and where their keys lie.
 *
 *   {
 *     "web":  { "subject": "mailto:operator@example.org", "hosts": [] },
 *     "apns": { "keyFile": "AuthKey.p8", "keyId": "ABC…", "teamId": "DEF…", "topic": "org.example.app", "sandbox": false },
 *     "fcm":  { "serviceAccountFile": "service-account.json" }
 *   }
 *
 * Each part may be missing. Files are read from the directory of the settings file. Keys stay out of the command line, the
 * environment and the log.
 */

import { createPrivateKey, randomBytes, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Logger } from '../../runtime/index.ts';
import { StartupError } from '../errors.ts';
import { createApns } from './apns.ts';
import { createFcm } from './fcm.ts';
import { fetchTransport, Http2Transport } from './http-transport.ts';
import { createLogProvider, type PushProvider, type WallClock } from './provider.ts';
import { createWebPush, vapidKey } from './web-push.ts';

/** The providers of a node. */
export interface Push {
  readonly providers: ReadonlyMap<string, PushProvider>;
  /** What a browser subscribes with; absent where Web Push is not sent. 65 bytes. */
  readonly vapidPublicKey: Uint8Array | undefined;
  close(): void;
}

export interface PushEnvironment {
  /** The installation's secret, hex. */
  readonly secret: string;
  readonly clock: WallClock;
  readonly log: Logger;
}

const NOBODY: Push = { providers: new Map(), vapidPublicKey: undefined, close: () => undefined };

/** @throws {StartupError} APP_CONFIG, naming the part of the file that is wrong and never what it holds. */
export function openPush(setting: string, environment: PushEnvironment): Push {
  if (setting === 'none') return NOBODY;
  if (setting === 'log') return logOnly(environment);
  const parts = readObject(readJson(setting), 'the file');
  for (const name of Object.keys(parts)) {
    if (!['web', 'apns', 'fcm'].includes(name)) throw wrong(`does not know a part "${name}"`);
  }
  const directory = dirname(resolve(setting));
  const http2 = new Http2Transport();
  const providers: PushProvider[] = [];
  if (parts['web'] !== undefined) providers.push(openWeb(readObject(parts['web'], '"web"'), environment));
  if (parts['apns'] !== undefined)
    providers.push(openApns(readObject(parts['apns'], '"apns"'), directory, http2, environment));
  if (parts['fcm'] !== undefined) providers.push(openFcm(readObject(parts['fcm'], '"fcm"'), directory, environment));
  return {
    providers: new Map(providers.map((provider) => [provider.platform, provider])),
    vapidPublicKey: parts['web'] === undefined ? undefined : vapidKey(environment.secret).publicKey,
    close: () => http2.close(),
  };
}

function logOnly({ secret, log }: PushEnvironment): Push {
  const platforms = ['web', 'apns', 'fcm'] as const;
  const providers = new Map(platforms.map((platform) => [platform, createLogProvider(platform, log)]));
  return { ...NOBODY, providers, vapidPublicKey: vapidKey(secret).publicKey };
}

type Part = Readonly<Record<string, unknown>>;

function openWeb(part: Part, { secret, clock }: PushEnvironment): PushProvider {
  const subject = text(part, 'web', 'subject', /^(?:mailto:[^@\s]+@\S+|https:\/\/\S+)$/);
  const hosts = part['hosts'] ?? [];
  const isList = Array.isArray(hosts) && hosts.every((host) => typeof host === 'string' && /^[\w.:-]+$/.test(host));
  if (!isList) throw wrong('"web.hosts" expected a list of host names');
  return createWebPush({
    key: vapidKey(secret),
    subject,
    hosts: hosts as string[],
    transport: fetchTransport,
    clock,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  });
}

function openApns(part: Part, directory: string, http2: Http2Transport, { clock }: PushEnvironment): PushProvider {
  const host = part['sandbox'] === true ? 'api.sandbox.push.apple.com' : 'api.push.apple.com';
  return createApns({
    origin: `https://${host}`,
    topic: text(part, 'apns', 'topic', /^[\w.-]+$/),
    teamId: text(part, 'apns', 'teamId', /^\w+$/),
    keyId: text(part, 'apns', 'keyId', /^\w+$/),
    key: readKey(readText(resolve(directory, text(part, 'apns', 'keyFile', /./))), 'ec', '"apns.keyFile"'),
    transport: http2.send,
    clock,
  });
}

function openFcm(part: Part, directory: string, { clock }: PushEnvironment): PushProvider {
  const file = resolve(directory, text(part, 'fcm', 'serviceAccountFile', /./));
  const account = readObject(readJson(file), '"fcm.serviceAccountFile"');
  return createFcm({
    projectId: text(account, 'service account', 'project_id', /^[\w.:-]+$/),
    clientEmail: text(account, 'service account', 'client_email', /^\S+@\S+$/),
    key: readKey(text(account, 'service account', 'private_key', /./), 'rsa', '"private_key"'),
    tokenUrl: text(account, 'service account', 'token_uri', /^https:\/\/\S+$/),
    origin: 'https://fcm.googleapis.com',
    transport: fetchTransport,
    clock,
  });
}

function text(part: Part, owner: string, name: string, form: RegExp): string {
  const value = part[name];
  if (typeof value === 'string' && form.test(value)) return value;
  throw wrong(`"${owner}.${name}" is missing or has a wrong form`);
}

function readObject(value: unknown, name: string): Part {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Part;
  throw wrong(`${name} expected an object`);
}

function readJson(file: string): unknown {
  const content = readText(file);
  try {
    return JSON.parse(content);
  } catch {
    throw wrong(`${file} is not JSON`);
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw wrong(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function readKey(pem: string, type: 'ec' | 'rsa', name: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(pem);
  } catch {
    key = undefined;
  }
  if (key?.asymmetricKeyType !== type) throw wrong(`${name} expected a private key of type ${type} in PEM`);
  return key;
}

function wrong(what: string): StartupError {
  return new StartupError('APP_CONFIG', `"push" ${what}. Say none, log, or the path of a settings file.`);
}
