/** What the page asks of its node. */

/** A refusal, as the node words it. */
export class AskError extends Error {}

export async function ask<T>(verb: string, parameters: object = {}): Promise<T> {
  return (await post<{ readonly value: T }>('/ask', { verb, parameters })).value;
}

export async function signIn(token: string): Promise<void> {
  await post('/sign-in', { token });
}

export async function signOut(): Promise<void> {
  await post('/sign-out', {});
}

export async function isSignedIn(): Promise<boolean> {
  const response = await fetch('/session');
  return ((await response.json()) as { readonly isSignedIn: boolean }).isSignedIn;
}

async function post<T>(path: string, body: object): Promise<T> {
  const headers = { 'content-type': 'application/json', 'x-blindbeam-console': '1' };
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  const answer = (await response.json()) as T & { readonly error?: { readonly message: string } };
  if (answer.error !== undefined) throw new AskError(answer.error.message);
  return answer;
}

export interface LiveView {
  close(): void;
}

/** Follows a live view; the browser comes back by itself when the connection breaks. */
export function follow<T>(
  verb: string,
  parameters: Readonly<Record<string, string>>,
  onNext: (value: T) => void,
  onState: (isOpen: boolean) => void,
): LiveView {
  const source = new EventSource(`/live?${new URLSearchParams({ verb, ...parameters })}`);
  source.addEventListener('open', () => onState(true));
  source.addEventListener('error', () => onState(false));
  source.addEventListener('next', (event) => onNext(JSON.parse((event as MessageEvent<string>).data) as T));
  return source;
}
