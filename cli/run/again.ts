/** `patchbay start` and `restart`: containers of `run` that have ended, as they were asked for. */
import type { Call } from '../call.ts'
import { whileAlone } from '../lock.ts'
import { CommandError } from '../output.ts'
import { detached } from './run.ts'
import { type ContainerState, ContainerStore, isRunning } from './store.ts'
import { each, end, secondsOf, stateNamed } from './verbs.ts'
import type { RunWish } from './wish.ts'

/** `start CONTAINER…`: of one that runs nothing is done, as with Docker. */
export async function start(call: Call): Promise<number> {
  const store = new ContainerStore(call.runDir)
  return each(call, 'started', async word => {
    const { name } = stateNamed(store, word)
    if (!call.has('dry-run')) await again(call, store, name, async () => {})
    return name
  })
}

/** `restart CONTAINER…` */
export async function restart(call: Call): Promise<number> {
  const store = new ContainerStore(call.runDir)
  const seconds = secondsOf(call)
  return each(call, 'restarted', async word => {
    const { name } = stateNamed(store, word)
    if (!call.has('dry-run')) await again(call, store, name, state => end(call, store, state, seconds))
    return name
  })
}

/** Two that start one container wait for each other: the second finds it running. */
async function again(
  call: Call,
  store: ContainerStore,
  name: string,
  stopFirst: (state: ContainerState) => Promise<void>
): Promise<void> {
  await whileAlone(store.directoryOf(name), 'start', async () => {
    wishOf(store, name)
    await stopFirst(stateNamed(store, name))
    const state = stateNamed(store, name)
    if (isRunning(state)) return
    // What was killed together with what kept it may have networks still.
    await end(call, store, state, 0)
    // Which networks it was on is known since its end.
    await detached({ ...wishOf(store, name), again: true, place: call.place, runDir: call.runDir })
  })
}

function wishOf(store: ContainerStore, name: string): RunWish {
  const wish = store.wishOf<RunWish>(name)
  if (wish !== undefined) return wish
  throw new CommandError(
    `start container ${JSON.stringify(name)}: how it was asked for is not known any more`,
    `run it again: patchbay rm -f ${name}, patchbay run --name ${name} ...`
  )
}
