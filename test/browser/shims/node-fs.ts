/**
 * Reading files of the checkout in a browser: the runner's server has them, under the paths that the tests compute.
 */

export function readFileSync(url: URL, encoding?: string): string {
  if (encoding !== 'utf8') throw new TypeError('"encoding" expected "utf8"');
  const request = new XMLHttpRequest();
  request.open('GET', url, false);
  request.send();
  if (request.status !== 200) throw new Error(`${url.href}: status ${request.status}`);
  return request.responseText;
}

export async function readFile(url: URL, encoding?: string): Promise<string> {
  return readFileSync(url, encoding);
}
