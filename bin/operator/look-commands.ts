/**
 * The commands that look into a running node, and the few that touch single parts of it.
 */

import {
  ACTOR_INSPECT,
  ACTOR_KILL,
  ACTOR_RESUME,
  ACTOR_STATE,
  ACTOR_SUSPEND,
  ACTOR_TRACE,
  ACTOR_TREE,
} from '../../actors/admin/actor-verbs.ts';
import { LOG_LEVEL } from '../../actors/admin/log-verb.ts';
import {
  GROUP_STAT,
  INBOX_PEEK,
  INBOX_STAT,
  LIMITS_SET,
  LIMITS_SHOW,
  PREKEYS_STAT,
  SESSION_KICK,
  SESSION_LIST,
} from '../../actors/admin/store-verbs.ts';
import { REPORT_LIST, REPORT_SHOW } from '../../actors/admin/report-verbs.ts';
import { AUDIT_LIST, CONSOLE, CRASH_LIST } from '../../actors/console/verbs.ts';
import { TOP } from '../../actors/admin/top.ts';
import type { OperatorCommand } from './command.ts';
import {
  followTrace,
  printDetails,
  printKilled,
  printResumed,
  printState,
  printSuspended,
  printTree,
} from './print-actors.ts';
import { printAudit, printConsole, printCrashes } from './print-console.ts';
import {
  printGroup,
  printInboxes,
  printKicked,
  printLevels,
  printLimits,
  printLimitSet,
  printPeek,
  printPreKeys,
  printSessions,
} from './print-store.ts';
import { printReport, printReports } from './print-reports.ts';
import { runTop } from './top.ts';

export const LOOK_COMMANDS: readonly OperatorCommand[] = [
  { spec: CONSOLE, print: printConsole },
  { spec: CRASH_LIST, print: printCrashes },
  { spec: AUDIT_LIST, print: printAudit },
  { spec: TOP, live: runTop, details: 'In a terminal it is live, ? tells the keys; elsewhere it prints one frame.' },
  { spec: ACTOR_TREE, print: printTree },
  { spec: ACTOR_INSPECT, print: printDetails },
  { spec: ACTOR_STATE, print: printState },
  { spec: ACTOR_TRACE, live: followTrace },
  { spec: ACTOR_SUSPEND, print: printSuspended },
  { spec: ACTOR_RESUME, print: printResumed },
  { spec: ACTOR_KILL, print: printKilled },
  { spec: SESSION_LIST, print: printSessions },
  { spec: SESSION_KICK, print: printKicked, timeoutMs: 15_000 },
  { spec: INBOX_STAT, print: printInboxes },
  { spec: INBOX_PEEK, print: printPeek },
  { spec: PREKEYS_STAT, print: printPreKeys },
  { spec: GROUP_STAT, print: printGroup },
  { spec: REPORT_LIST, print: printReports, timeoutMs: 125_000 },
  { spec: REPORT_SHOW, print: printReport },
  { spec: LIMITS_SHOW, print: printLimits },
  { spec: LIMITS_SET, print: printLimitSet },
  { spec: LOG_LEVEL, print: printLevels },
];
