/**
 * For the runtime's own folders, for benchmarks and for tests: the parts behind `index.ts`. No promise of stability.
 *
 * Applications and actors import `index.ts`; tests of actors import `testing/`.
 */

export { KIND, type Kind } from './envelope.ts';
export { Kernel } from './kernel.ts';
export { Ring } from './ring.ts';
export { PACKET, type Packet, type Transport } from './transport.ts';
export { createMesh, type Membership, type Mesh } from './worker/mesh.ts';
export { createRingMemory, RingReader, RingWriter } from './worker/ring.ts';
