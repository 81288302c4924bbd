/** Every bound of the operators' console, with its reason. */

export const CONSOLE_LIMITS = {
  /** Bytes of a request's body: a verb and its parameters. */
  bodyBytesMax: 16_384,
  /** Connections: browsers keep six for each address. */
  socketsMax: 64,
  /** Live views at a time, of those who have signed in; and as many of all others. */
  viewsMax: 16,
  /** Signed-in browsers; the oldest makes room. */
  signInsMax: 32,
  /** A working day. */
  signInMs: 43_200_000,
  /** Tries to sign in with a wrong token: it has 256 bits, so this only keeps the log readable. */
  triesPerSecond: 1,
  triesBurst: 10,
  /** Crash reports that a worker keeps. */
  crashesMax: 30,
  /** UTF-16 units of one field of a crash: some fifteen lines of a stack. Thirty crashes fit a packet between threads. */
  crashTextCharsMax: 1_500,
  /** Milliseconds for a request's headers, and for its body. */
  requestMsMax: 10_000,
} as const;
