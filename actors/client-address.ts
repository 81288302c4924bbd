/**
 * The address that a client is counted under. Pure.
 *
 * An IPv4 address stands for itself. Of an IPv6 address only the first 64 bits count: one customer has at least so many
 * addresses to choose from (RFC 6177). Behind a proxy the socket's address is the proxy's; then the last entry of
 * `X-Forwarded-For` is the client's, the one that the proxy itself has added. Earlier entries are whatever the client sent.
 */

/**
 * @param peer - The socket's address as text; IPv6 in any of its forms.
 * @param forwarded - `X-Forwarded-For` where a proxy is trusted, otherwise `undefined`.
 */
export function clientAddress(peer: string, forwarded?: string): string {
  const last = forwarded?.split(',').at(-1)?.trim();
  return networkOf(last === undefined || last === '' ? peer : last);
}

/** The address itself, or the /64 of an IPv6 address. What is neither stands for itself: it is only compared. */
function networkOf(address: string): string {
  const mapped = /^(?:::ffff:|(?:0{1,4}:){5}ffff:)(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  const groups = [...front, ...(tail === undefined ? [] : zeros), ...back];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
