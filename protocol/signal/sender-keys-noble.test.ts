/** The recorded group once more, without Node's crypto: the module graph that a browser runs. */
import t from 'tap';
import { replaySenderKeys } from './testing/sender-keys.ts';

Object.defineProperty(process, 'getBuiltinModule', { value: undefined });
await replaySenderKeys(t, 'noble');
