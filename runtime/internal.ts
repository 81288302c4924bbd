/**
 * For the runtime's own folders and its tests, not for applications: the parts behind `index.ts`.
 */

export { isPromise } from './exit.ts';
export { Kernel } from './kernel.ts';
export { PACKET, type Packet, type Transport } from './transport.ts';
