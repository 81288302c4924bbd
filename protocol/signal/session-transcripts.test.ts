/**
 * The six recorded conversations, from Bob's side, byte for byte: what another implementation wrote we read, and what
 * we write is what it wrote.
 */
import t from 'tap';
import { replayTranscripts } from './testing/transcripts.ts';

await replayTranscripts(t, 'native');
