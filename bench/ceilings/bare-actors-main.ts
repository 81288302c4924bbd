/** Entry of the process in which bare JavaScript runs a program. */

import { serve } from '../actors/serve.ts';
import { BARE_PROGRAMS } from './bare-actors.ts';

serve(BARE_PROGRAMS);
