/**
 * Why a reload is refused before anything of it is applied, as codes with a reason and a fix.
 *
 * A refusal is an expected outcome: data that crosses threads and is shown to an operator, never thrown.
 */

/** The catalogue: what a code means, and what to do. A test compares it with docs/operating.md. */
export const REFUSALS: Readonly<Record<RefusalCode, { readonly meaning: string; readonly fix: string }>> =
  Object.freeze({
    RELOAD_UNKNOWN: {
      meaning: 'No behaviour of this name runs here.',
      fix: 'Name the module as it lies in the checkout, without its extension; `blindbeam reload list` has the names.',
    },
    RELOAD_NO_SOURCE: {
      meaning: 'There is no such module under the root that the node was started from.',
      fix: 'Put the new file in its place, or start the node from the checkout that you edit.',
    },
    RELOAD_SYNTAX: {
      meaning: 'The module, or one that it imports, cannot be bundled or compiled.',
      fix: 'Mend what the compiler names; nothing of the reload was applied.',
    },
    RELOAD_SHELL_EXPORT: {
      meaning: 'The module imports a name from the shell that the running shell does not export.',
      fix: 'A reload does not change the shell: import what there is, or drain and restart the node.',
    },
    RELOAD_IMPORT: {
      meaning: 'The module imports what must not be loaded twice: a package, or a part of Node that holds state.',
      fix: 'Reach it through the shell (the arguments of the actor), or add it to the shell and restart the node.',
    },
    RELOAD_NO_BEHAVIOR: {
      meaning: 'The module exports no behaviour of that name.',
      fix: 'Export an object with `init` whose `name` is the name of the module.',
    },
    RELOAD_EVALUATION: {
      meaning: 'The module threw, or set a timer, while it was loaded.',
      fix: 'Leave the top level of a behaviour to declarations; time belongs to `ctx.sendAfter`.',
    },
    RELOAD_VERSION: {
      meaning: 'The version is not larger than the one that runs.',
      fix: 'Raise `version` in the behaviour, or let the reload number it: `--renumber`.',
    },
    RELOAD_MESSAGES: {
      meaning: 'The two versions, which live side by side for a while, would not understand each other.',
      fix: 'Let the new version understand what the running one speaks, and reload in two steps: first understand, then speak.',
    },
    RELOAD_HANDLER: {
      meaning:
        'The new version lacks a handler that the running one has, so messages that are under way would end actors.',
      fix: 'Keep the handler until nobody sends what it takes.',
    },
    RELOAD_SHAPE: {
      meaning: 'The shape of the state changes and there is no `codeChange`.',
      fix: 'Add `codeChange(state, from)`, which makes the new shape of the old one, and `codeBack(state, to)`.',
    },
    RELOAD_CODE_CHANGE: {
      meaning: '`codeChange` fails for the state of a living actor, or does not make what `init` makes.',
      fix: 'Convert every state that may be there; the report names what is wrong with this one.',
    },
    RELOAD_IN_PLACE: {
      meaning: '`codeChange` changes the state that it is given, which is then lost if it throws half way.',
      fix: 'Return a new object, and leave the given one as it is.',
    },
    RELOAD_NO_WAY_BACK: {
      meaning: 'The shape changes and `codeBack` is missing, fails, or does not make the old shape.',
      fix: 'Add `codeBack(state, to)`: an automatic rollback needs it for actors that have handled messages.',
    },
    RELOAD_CAPTURED_FUNCTION: {
      meaning: 'A state holds a function of the behaviour: it would go on running the code of its version.',
      fix: 'Keep data in the state and look the function up when it is needed.',
    },
    RELOAD_CAPTURED_TIMER: {
      meaning: 'A state holds a timer of the platform, whose callback belongs to one version.',
      fix: 'Use `ctx.sendAfter`: its message is handled by the version that runs then.',
    },
    RELOAD_CAPTURED_INSTANCE: {
      meaning: 'A state holds an instance of a class of the behaviour, whose methods belong to one version.',
      fix: 'Keep plain data and functions over it, or move the class into the shell.',
    },
    RELOAD_SHADOW: {
      meaning: 'In a shadow, the new version threw or ended the actor at a message that the running one handles.',
      fix: 'Mend the handler: the line above has the message and the error.',
    },
    RELOAD_OTHER_CODE: {
      meaning: 'What lies on the disk of this node is not what the first node of the reload has.',
      fix: 'Put the same release, or the same edit, in its place on every node.',
    },
    RELOAD_BUSY: {
      meaning: 'Another reload is under way.',
      fix: 'Wait for its report: two versions of one behaviour live at a time, and not three.',
    },
    RELOAD_NOTHING_BACK: {
      meaning: 'There is no reload of this behaviour to take back.',
      fix: '`blindbeam reload history` tells what was reloaded. After a restart put the source that you want back in its place, and reload it.',
    },
  });

export type RefusalCode =
  | 'RELOAD_UNKNOWN'
  | 'RELOAD_NO_SOURCE'
  | 'RELOAD_SYNTAX'
  | 'RELOAD_SHELL_EXPORT'
  | 'RELOAD_IMPORT'
  | 'RELOAD_NO_BEHAVIOR'
  | 'RELOAD_EVALUATION'
  | 'RELOAD_VERSION'
  | 'RELOAD_MESSAGES'
  | 'RELOAD_HANDLER'
  | 'RELOAD_SHAPE'
  | 'RELOAD_CODE_CHANGE'
  | 'RELOAD_IN_PLACE'
  | 'RELOAD_NO_WAY_BACK'
  | 'RELOAD_CAPTURED_FUNCTION'
  | 'RELOAD_CAPTURED_TIMER'
  | 'RELOAD_CAPTURED_INSTANCE'
  | 'RELOAD_SHADOW'
  | 'RELOAD_OTHER_CODE'
  | 'RELOAD_BUSY'
  | 'RELOAD_NOTHING_BACK';

/** One refusal. `detail` names what in particular; it holds nothing that a user wrote. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly detail: string;
}

export function refusal(code: RefusalCode, detail: string): Refusal {
  return { code, detail };
}
