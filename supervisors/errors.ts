/**
 * What a supervisor answers when it cannot do what it was asked, as codes.
 *
 * These are replies, `{ error: code, … }`, and never thrown: asking a supervisor for a child that is gone is an expected
 * outcome. Wrong specifications throw TypeError or RangeError from the function that takes them.
 */

export type SupervisorErrorCode =
  | 'SUP_NOT_FOUND'
  | 'SUP_ALREADY_PRESENT'
  | 'SUP_ALREADY_STARTED'
  | 'SUP_RUNNING'
  | 'SUP_RESTARTING'
  | 'SUP_START_FAILED'
  | 'SUP_BAD_SPEC'
  | 'SUP_CHILDREN_MAX'
  | 'SUP_SIMPLE_ONE_FOR_ONE'
  | 'SUP_UNKNOWN_REQUEST'
  | 'SUP_OTHER_NODE';

/** The catalogue: what a code means, what causes it, what to do. */
export const SUP_ERRORS: Readonly<Record<SupervisorErrorCode, { meaning: string; cause: string; action: string }>> =
  Object.freeze({
    SUP_NOT_FOUND: {
      meaning: 'The supervisor has no such child.',
      cause: 'The id or pid is wrong, or the child has ended and is not restarted.',
      action: 'Ask whichChildren; a child that ended in the meantime needs nothing.',
    },
    SUP_ALREADY_PRESENT: {
      meaning: 'A child of this id is specified, and is not running.',
      cause: 'It was terminated, or ended and is not restarted; its specification remains.',
      action: 'restartChild, or deleteChild and start the new one.',
    },
    SUP_ALREADY_STARTED: {
      meaning: 'A child of this id is running; `pid` is it.',
      cause: 'Two starters, or a retry of a start that succeeded.',
      action: 'Use the running one.',
    },
    SUP_RUNNING: {
      meaning: 'The child must not be running for this request.',
      cause: 'restartChild or deleteChild of a running child.',
      action: 'terminateChild first.',
    },
    SUP_RESTARTING: {
      meaning: 'The child is about to be restarted.',
      cause: 'restartChild or deleteChild of a child whose restart has failed and is tried again.',
      action: 'Wait, or terminateChild first.',
    },
    SUP_START_FAILED: {
      meaning: 'The `init` of the child failed; `reason` says why.',
      cause: 'The child itself.',
      action: 'Read the reason. The supervisor keeps nothing of a child that it could not start.',
    },
    SUP_BAD_SPEC: {
      meaning: 'The supervisor cannot have a child of this specification; `message` names the field.',
      cause: 'A field is wrong, or the child is significant and the supervisor is not told to heed it.',
      action: 'Mend the specification, or give the supervisor an autoShutdown.',
    },
    SUP_CHILDREN_MAX: {
      meaning: 'The supervisor has as many children as it may.',
      cause: 'More load than was planned for, or a leak of children.',
      action: 'Refuse the work.',
    },
    SUP_SIMPLE_ONE_FOR_ONE: {
      meaning: 'A dynamic supervisor cannot do this.',
      cause: 'restartChild, deleteChild or terminateChild by id: its children have no ids and leave no specification.',
      action: 'terminateDynamicChild by pid, startDynamicChild.',
    },
    SUP_UNKNOWN_REQUEST: {
      meaning: 'The supervisor does not know the request.',
      cause: 'A call that did not come from the functions of this folder, or startDynamicChild of an ordinary one.',
      action: 'Use startChild, terminateChild, whichChildren and their like.',
    },
    SUP_OTHER_NODE: {
      meaning: 'A supervisor is asked by its own node alone.',
      cause: 'A call from another node of a cluster; whoever may speak on its bus could otherwise end what runs here.',
      action: 'Ask an actor of that node to do it, which decides for whom.',
    },
  });
