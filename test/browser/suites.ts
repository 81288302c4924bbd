/**
 * Which test files also run in a browser: all of the portable folders, except what is named here with its reason.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Folders whose code runs in browsers. */
const FOLDERS = ['protocol/signal', 'protocol/wire', 'client'];

/** Bent bytes by the thousand: minutes in plain JavaScript, for decoders that ask nothing of the engine; in Node they run whole. */
const BENT_BYTES = 'bent bytes by the thousand: minutes in plain JavaScript';

/** Files that test Node's side of something, or the checkout as text, or that take too long. */
const NODE_ONLY: Readonly<Record<string, string>> = {
  'protocol/signal/decoders.fuzz.test.ts': BENT_BYTES,
  'protocol/wire/decode.fuzz.test.ts': BENT_BYTES,
  'client/decoders.fuzz.test.ts': BENT_BYTES,
  'protocol/signal/primitives.test.ts': 'compares the native provider with the other: Node has both',
  'protocol/signal/session-transcripts.test.ts':
    'replays on the native provider; session-transcripts-noble is its browser form',
  'protocol/signal/sender-keys.test.ts': 'replays on the native provider; sender-keys-noble is its browser form',
  'protocol/signal/provisioning-node.test.ts': 'makes an envelope with Node’s crypto',
  'protocol/signal/catalogue.test.ts': 'reads the sources of its folder',
  'protocol/signal/keys.test.ts': 'prints keys with Node’s inspect',
  'protocol/wire/tokens.test.ts': 'reads the sources of its folder',
  'client/group-crash.test.ts': 'some forty worlds, with all the keys of each: minutes in plain JavaScript',
  'client/errors.test.ts': 'reads the sources of its folder',
  'client/login-key.test.ts': 'verifies with Node’s crypto, and prints with its inspect',
};

/** Single tests, by file and name. */
const NODE_ONLY_TESTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'protocol/wire/frame.test.ts': {
    'a promised length takes no memory, and a long frame no more than a message': 'asks Node how much memory it uses',
  },
  'client/transfer.test.ts': {
    'the new device crashes at any write, with a power cut': 'a world for each crash: slow in plain JavaScript',
    'the primary device crashes at any write, with a power cut': 'the same',
  },
  'protocol/signal/sender-key-codec.test.ts': Object.fromEntries(
    ['distribution', 'group message', 'own sender key', 'sender key record'].flatMap((kind) => [
      [`${kind}: mutated bytes are refused, or are other bytes of the same kind`, BENT_BYTES],
      [`${kind}: noise after a right first byte, another version, too many bytes, a wrong call`, BENT_BYTES],
    ]),
  ),
  'protocol/signal/ciphertext.test.ts': {
    'prekey: a mutated message is refused or is a message of its own bytes': BENT_BYTES,
    'prekey: random bytes after a right version byte': BENT_BYTES,
    'ratchet: a mutated message is refused or is a message of its own bytes': BENT_BYTES,
    'ratchet: random bytes after a right version byte': BENT_BYTES,
    'version 4: no prefix, no continuation, and no second encoding': BENT_BYTES,
  },
  'protocol/signal/record-codec.test.ts': {
    'a mutated record is refused or is a record of its own bytes': BENT_BYTES,
  },
  'protocol/signal/session.test.ts': {
    'mutated messages are refused or say the same; nothing throws and nothing is stored': BENT_BYTES,
  },
  'protocol/signal/chunk-cipher.test.ts': { 'native: so does the cipher of Node': 'Node’s cipher' },
  'protocol/signal/xeddsa.test.ts': {
    'every recorded signature verifies as recorded': 'verifies with Node’s provider as well',
  },
  'protocol/signal/signing-key.test.ts': { 'both providers sign alike': 'a browser has one provider' },
};

/**
 * Seeds of the long tests, in both runs so that the counts can be compared: plain JavaScript is some thirty times slower, and
 * ten are the fewest in which everything that those tests want to see happens.
 */
const SEEDS: Readonly<Record<string, number>> = {
  'protocol/signal/interleaving.test.ts': 10,
  'protocol/signal/group-interleaving.test.ts': 1,
};

/** A test file of the portable folders. */
export interface Suite {
  /** From the checkout, such as `protocol/wire/frame.test.ts`. */
  readonly path: string;
  /** Why it runs in Node alone, if it does. */
  readonly nodeOnly: string | undefined;
  /** Names of tests in it that run in Node alone. */
  readonly leftOut: readonly string[];
  /** Variables that both runs get. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Every test file of the portable folders. @param root - The checkout. */
export function findSuites(root: string): Suite[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `${folder}/${name}`)
      .map(suiteOf),
  );
}

function suiteOf(path: string): Suite {
  const seeds = SEEDS[path];
  return {
    path,
    nodeOnly: NODE_ONLY[path],
    leftOut: Object.keys(NODE_ONLY_TESTS[path] ?? {}),
    environment: seeds === undefined ? {} : { BLINDBEAM_SEEDS: String(seeds) },
  };
}

/** Where the tests are that only a page can run: tap does not find them under this name. */
const PAGE_FOLDER = 'client/web';

/** Test files for a browser alone. @param root - The checkout. */
export function findPageTests(root: string): string[] {
  return readdirSync(join(root, PAGE_FOLDER))
    .filter((name) => name.endsWith('.page-test.ts'))
    .map((name) => `${PAGE_FOLDER}/${name}`);
}

/** What is named above and is no longer there: a renamed file must not stay excluded, or come back, unnoticed. */
export function staleExclusions(suites: readonly Suite[]): string[] {
  const paths = new Set(suites.map(({ path }) => path));
  return [NODE_ONLY, NODE_ONLY_TESTS, SEEDS].flatMap(Object.keys).filter((path) => !paths.has(path));
}

/** Where the compiled form of a test file is. */
export function compiled(path: string): string {
  return `dist/${path.replace(/\.ts$/, '.js')}`;
}
