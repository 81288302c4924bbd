/** What the parent tells the process of a client of `bench media`, and what that answers. Plain data. */

import type { Attachment } from '../../client/index.ts';
import type { BenchCode } from '../errors.ts';

export type MediaCommand =
  /** Register `phone` with the `code` that comes, log in; answers `opened`. */
  | { readonly kind: 'open'; readonly url: string; readonly phone: string }
  | { readonly kind: 'code'; readonly code: string }
  /** Seal and upload a file of so many bytes; answers `uploaded`. */
  | { readonly kind: 'upload'; readonly bytes: number }
  /** Download and open a file; answers `downloaded`. */
  | { readonly kind: 'download'; readonly attachment: Attachment }
  /** The bare library's turn: send, or fetch, so many bytes at that address without sealing or opening. */
  | { readonly kind: 'bare-upload' | 'bare-download'; readonly url: string; readonly bytes: number };

export type MediaAnswer =
  | { readonly kind: 'opened' | 'sent' }
  | { readonly kind: 'uploaded'; readonly attachment: Attachment }
  | { readonly kind: 'downloaded'; readonly bytes: number }
  | { readonly kind: 'failed'; readonly code: BenchCode; readonly detail: string };
