/**
 * First words of the commands for operators, for the list of verbs; `commands.ts` is loaded when one is called, and a test
 * compares the two.
 */

export const OPERATOR_GROUPS: Readonly<Record<string, string>> = {
  status: 'how the node is: workers, connections, messages, memory',
  console: 'the address of the operators’ page, with the token that signs in',
  crash: 'the last crashes: list',
  audit: 'what operators have changed: list',
  top: 'who is busy: workers, behaviours and actors, live',
  actor: 'one actor: tree, inspect, state, trace, suspend, resume, kill',
  session: 'who is connected: list, kick',
  inbox: 'what waits: stat, peek',
  prekeys: 'pre-keys that are left: stat',
  group: 'a group: stat',
  report: 'messages that people have reported: list, show',
  limits: 'limits of the running node: show, set',
  log: 'what is logged: level',
  backup: 'copy the store while the node runs',
  drain: 'send every client away, at a rate, and let nobody in',
  resume: 'let clients in again after a drain',
  node: 'the nodes of a cluster: list, map, drain, join, leave',
  reload: 'load a new version of a behaviour into the running node',
};
