/** Looking at all actors of a worker without stopping it: what `index.ts` exports of it. */

export { lineageOf, type Lineage, type LineageNode } from './lineage.ts';
export { describeProcess } from './process-info.ts';
export { type RankBy, type Ranked, type Ranking, Survey, type SurveyGroup, type SurveyResult } from './survey.ts';
export { ProcessWalk, type ProcessView } from './walk.ts';
