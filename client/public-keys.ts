/** Public keys as bytes that can be compared. */

/** Whether two public keys are one. Not constant time. */
export function isSameKey(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}
