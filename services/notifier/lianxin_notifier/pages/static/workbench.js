// What a script adds to the workbench; everything works without it, too. Each job has a file of its own.
import { startActing } from './acting.js';
import { startEvidence } from './evidence.js';
import { startKeys } from './keys.js';
import { startCase, startList } from './live.js';
import { startOffline } from './offline.js';
import { startOutbox } from './outbox.js';
import { said } from './page.js';
import { startQueue } from './queue.js';
import { startTriage } from './triage.js';

startKeys();
startOffline();
startOutbox();
startQueue();
if (said.page === 'inbox') startList();
if (said.page === 'triage') startTriage();
if (said.page === 'case') {
  startEvidence();
  startActing();
  startCase();
}
