/** Entry of the process in which nact runs a program. */

import { serve } from '../actors/serve.ts';
import { NACT_PROGRAMS } from './nact-actors.ts';

serve(NACT_PROGRAMS);
