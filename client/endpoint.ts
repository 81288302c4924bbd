/** Where a client dials, and the language it asks for there. For the adapters of `transport.ts`. */

/** The subprotocol of `docs/protocol.md`. */
export const SUBPROTOCOL = 'blindbeam.1';

/**
 * Adds the path `/ws` unless the address has one.
 *
 * @throws {TypeError} When `url` is no ws: or wss: address.
 */
export function endpointOf(url: string): URL {
  const endpoint = new URL(url);
  if (endpoint.protocol !== 'ws:' && endpoint.protocol !== 'wss:') {
    throw new TypeError('"url" expected a ws: or wss: address');
  }
  if (endpoint.pathname === '/') endpoint.pathname = '/ws';
  return endpoint;
}
