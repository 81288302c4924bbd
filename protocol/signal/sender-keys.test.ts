/** The recorded group, byte for byte: what another implementation wrote we read, and what we write is what it wrote. */
import t from 'tap';
import { replaySenderKeys } from './testing/sender-keys.ts';

await replaySenderKeys(t, 'native');
