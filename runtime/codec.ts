import { createRequire } from 'node:module';
const { pack, unpack } = createRequire(import.meta.url)('msgpackr') as typeof import('msgpackr');
export function encode(value: unknown): Uint8Array { return pack(value); }
export function decode(bytes: Uint8Array): unknown { return unpack(bytes as Buffer); }
