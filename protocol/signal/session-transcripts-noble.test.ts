/**
 * The recorded conversations once more, without Node's crypto: the module graph that a browser runs.
 */
import t from 'tap';
import { replayTranscripts } from './testing/transcripts.ts';

Object.defineProperty(process, 'getBuiltinModule', { value: undefined });
await replayTranscripts(t, 'noble');
