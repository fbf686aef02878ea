/** What workers start with in tests, as the bundled main file does in the product. */
import { workerData } from 'node:worker_threads'
import { storeMode } from '../../services/io/store/client.ts'
import { runStoreWorker } from '../../services/io/store/worker.ts'
import { runTemplateWorker, templateMode } from '../../services/io/template.ts'

const { mode } = workerData as { mode: string }
if (mode === storeMode) runStoreWorker()
else if (mode === templateMode) runTemplateWorker()
else throw new Error(`no worker mode ${mode}`)
