/** For test files that can also be run by themselves: in a browser they are not. */
export function fileURLToPath(url: string): string {
  return url;
}
