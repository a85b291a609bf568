// A client of the axis (axis.v1): small enough to be read, whole enough to be built on.
//
//     const axis = connect('https://axis.example:7401', { ca: 'ca.pem', cert: 'me.pem', certKey: 'me.key' })
//     const receipt = await axis.push(bytes)          // durable at the axis when this returns
//     await axis.subscribe('inbox', handle)           // handle(header, path) for each delivery
//
// Every call ends with an answer, with `Refused` (the axis said no, and why) or with `Unreachable`
// (no answer came, so it is not known what happened). What is safe to send again is sent again by
// itself, after the time that the axis asks for.

import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { mkdir, open, rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import grpc from '@grpc/grpc-js'
import loader from '@grpc/proto-loader'

const HERE = dirname(fileURLToPath(import.meta.url))
// The .proto files of the axis; a program of yours brings a copy of them along.
const PROTO = process.env.AXIS_PROTO ?? join(HERE, '../../../proto')

const definitions = loader.loadSync(
  ['axis/v1/exchange.proto', 'axis/v1/status.proto', join(HERE, 'google_rpc.proto')],
  { includeDirs: [PROTO], keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true }
)
const { ExchangeService, StatusService } = grpc.loadPackageDefinition(definitions).axis.v1
const decode = (name, bytes) => definitions[`google.rpc.${name}`].deserialize(bytes)

const CHUNK = 256 * 1024
const DEADLINE = 60 // seconds for a call that is no stream
const STREAM_DEADLINE = 600 // seconds for one package sent or fetched in chunks

/** A refusal after which it is not certain that nothing happened. */
const UNCERTAIN = ['OUTCOME_UNKNOWN', 'INTERNAL']

// ---------------------------------------------------------------- what can go wrong

/** Anything that the axis, or the way to it, can do to a call. */
export class AxisError extends Error {}

/**
 * The axis said no. `reason` is one of the list in docs/errors.md and never changes.
 * `faults`: one {code, path, english, vietnamese} for each thing that is wrong;
 * `omitted`: faults for which the answer had no room;
 * `retryAfter`: seconds; undefined if sending the same again does not help.
 */
export class Refused extends AxisError {}

/** No answer: not connected, cut off, or too late. The call may or may not have happened. */
export class Unreachable extends AxisError {}

/** Thrown by a handler: this delivery can never be read. It is settled as failed. */
export class CannotRead extends Error {}

/** The AxisError that a gRPC error tells; any other error as it is. */
export function problemOf(error) {
  if (error.code === undefined || error.metadata === undefined) return error
  for (const bytes of error.metadata.get('grpc-status-details-bin')) {
    const refused = refusal(decode('Status', bytes))
    if (refused) return refused
  }
  return new Unreachable(`${grpc.status[error.code]}: ${error.details}`)
}

function refusal(status) {
  const told = { faults: [], omitted: 0, vietnamese: '', english: '' }
  for (const { type_url, value } of status.details) {
    const kind = type_url.split('/').at(-1)
    if (kind === 'google.rpc.ErrorInfo') {
      const info = decode('ErrorInfo', value)
      if (info.domain === 'axis.v1') told.reason = info.reason
      told.omitted = Number(info.metadata.omitted ?? 0)
    } else if (kind === 'google.rpc.BadRequest') {
      told.faults = decode('BadRequest', value).field_violations.map((it) => ({
        code: it.reason,
        path: it.field,
        english: it.description, // "line:column text"
        vietnamese: it.localized_message?.message ?? ''
      }))
    } else if (kind === 'google.rpc.LocalizedMessage') {
      const text = decode('LocalizedMessage', value)
      told[text.locale === 'vi' ? 'vietnamese' : 'english'] = text.message
    } else if (kind === 'google.rpc.RetryInfo') {
      const delay = decode('RetryInfo', value).retry_delay
      told.retryAfter = delay.seconds + delay.nanos / 1e9
    }
  }
  return told.reason && Object.assign(new Refused(`${told.reason}: ${told.english}`), told)
}

// ---------------------------------------------------------------- connecting

/**
 * An `Axis` at `server`: http://HOST:PORT (the axis's own machine only) or https://HOST:PORT.
 *
 * Who calls is told by `system` and `key`, or by the files `cert` and `certKey` (PEM). `ca` is the
 * file with the authority of the axis's certificate. A call is tried `attempts` times.
 */
export function connect(server, { system, key, ca, cert, certKey, attempts = 5 } = {}) {
  const [scheme, address] = server.split('://')
  const read = (path) => (path ? readFileSync(path) : null)
  const credentials = {
    http: () => grpc.credentials.createInsecure(),
    https: () => grpc.credentials.createSsl(read(ca), read(certKey), read(cert))
  }[scheme]
  if (!credentials) throw new Error(`${server} is no address: http://HOST:PORT or https://HOST:PORT`)
  const who = new grpc.Metadata()
  if (system && key) {
    who.set('axis-system', system)
    who.set('axis-key', key)
  }
  // A stream on which nothing comes for long is asked whether it still lives.
  const options = { 'grpc.keepalive_time_ms': 60_000, 'grpc.keepalive_timeout_ms': 20_000 }
  return new Axis(address, credentials(), options, who, attempts)
}

/** A connection to the axis, as one system. Made by `connect`; reconnects by itself. */
class Axis {
  #exchange
  #status
  #who
  #attempts

  constructor(address, credentials, options, who, attempts) {
    this.#exchange = new ExchangeService(address, credentials, options)
    this.#status = new StatusService(address, credentials, options)
    this.#who = who
    this.#attempts = attempts
  }

  close() {
    this.#exchange.close()
    this.#status.close()
  }

  /**
   * Calls until it works. A call that is not `repeatable` is only made again when it is certain
   * that the former one did nothing.
   */
  async #again(call, repeatable = true) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call()
      } catch (error) {
        const problem = problemOf(error)
        if (attempt === this.#attempts || !worthRepeating(problem, repeatable)) throw problem
        await pause(problem, attempt)
      }
    }
  }

  /** A call with one answer, as a promise. */
  #unary(client, method, request) {
    return new Promise((resolve, reject) => {
      const done = (error, answer) => (error ? reject(error) : resolve(answer))
      client[method](request, this.#who, { deadline: inSeconds(DEADLINE) }, done)
    })
  }

  // -------------------------------------------------------------- sending

  /**
   * Sends one package of at most 4 MiB; gives its receipt. Sent again by itself if no answer came:
   * the axis knows it by its bytes and makes no double.
   */
  async push(bytes, { acceptKnown = false } = {}) {
    const request = { package: bytes, options: { accept_known: acceptKnown } }
    const receipt = await this.#again(() => this.#unary(this.#exchange, 'Push', request))
    return sameBytes(receipt, createHash('sha256').update(bytes).digest('hex'))
  }

  /** The same for a file of any size, in chunks: it is never in memory as a whole. */
  async pushFile(path, { acceptKnown = false } = {}) {
    await stat(path) // a missing file is told as such, not as a broken stream
    return this.#again(async () => {
      const sum = createHash('sha256')
      let call
      const answer = new Promise((resolve, reject) => {
        const done = (error, receipt) => (error ? reject(error) : resolve(receipt))
        call = this.#exchange.PushStream(this.#who, { deadline: inSeconds(STREAM_DEADLINE) }, done)
      })
      let over = false // the axis may refuse before all is sent
      const ended = answer.then(() => (over = true), () => (over = true))
      try {
        call.write({ options: { accept_known: acceptKnown } })
        for await (const chunk of createReadStream(path, { highWaterMark: CHUNK })) {
          if (over) break
          sum.update(chunk)
          if (!call.write({ chunk })) {
            await Promise.race([new Promise((resolve) => call.once('drain', resolve)), ended])
          }
        }
        call.end()
      } catch (error) {
        call.cancel() // what was sent so far is dropped by the axis
        await ended
        throw error
      }
      return sameBytes(await answer, sum.digest('hex'))
    })
  }

  // -------------------------------------------------------------- receiving

  /**
   * Takes deliveries as they come. Each is written durably into `folder`; then comes
   * handle(header, path); only then is it settled. Gives how many were taken: when all that waited
   * has been taken or, with `follow`, never.
   *
   * A delivery may come again (`header.redelivered`, or the connection broke before the settle
   * arrived): `handle` must know one that it has, by `header.delivery_id`. If `handle` throws
   * CannotRead the delivery is settled as failed; any other error ends the subscription, and what
   * is not settled is offered again.
   */
  async subscribe(folder, handle, { credit = 8, follow = false } = {}) {
    let taken = 0
    for (let attempt = 1; ; attempt++) {
      const stream = this.#exchange.Subscribe(this.#who)
      try {
        stream.write({ open: { credit } })
        const inbox = await Inbox.open(folder)
        const unsettled = new Set()
        let caughtUp = false
        const answered = (deliveryId) => {
          unsettled.delete(deliveryId)
          stream.write({ credit: 1 }) // ready for one more
        }
        for await (const { response, ...message } of stream) {
          if (response === 'frame') {
            const arrived = await inbox.take(message.frame)
            if (arrived) {
              unsettled.add(arrived.header.delivery_id)
              stream.write({ settle: await outcome(handle, arrived) })
              taken += 1
              attempt = 0
            }
          } else if (response === 'caught_up') {
            caughtUp = true
          } else if (response === 'settled') {
            answered(message.settled.delivery_id)
          } else if (response === 'settle_refused') {
            // Recalled meanwhile, for one: it will not be offered again, the rest goes on.
            const refused = message.settle_refused
            console.error(`${refused.delivery_id}: ${refused.reason} ${refused.message}`)
            answered(refused.delivery_id)
          }
          if (caughtUp && unsettled.size === 0 && !follow) return taken
        }
        throw new Unreachable('the axis ended the stream')
      } catch (error) {
        const problem = problemOf(error)
        const patient = follow || attempt < this.#attempts
        if (!patient || !worthRepeating(problem, true)) throw problem
        await pause(problem, attempt + 1)
      } finally {
        stream.on('error', () => {}) // the cancel comes back as one
        stream.cancel()
      }
    }
  }

  /**
   * Takes up to `maxDeliveries` of what waits now (at most 100), as `subscribe` does. Gives how
   * many were taken; 0 means that nothing waits.
   */
  async fetch(folder, handle, { maxDeliveries = 10 } = {}) {
    const inbox = await Inbox.open(folder)
    const whole = new Map()
    await this.#again(async () => {
      const deadline = inSeconds(STREAM_DEADLINE)
      const frames = this.#exchange.Fetch({ max_deliveries: maxDeliveries }, this.#who, { deadline })
      for await (const frame of frames) {
        const arrived = await inbox.take(frame)
        if (arrived) whole.set(arrived.header.delivery_id, arrived)
      }
    })
    // Ours for 5 minutes from now; longer work asks for more with `extend`.
    for (const arrived of whole.values()) await this.settle(await outcome(handle, arrived))
    return whole.size
  }

  /** Settles by a call of its own. Doing it twice changes nothing (`changed` is false). */
  settle(request) {
    return this.#again(() => this.#unary(this.#exchange, 'Settle', request))
  }

  /** Keeps a fetched delivery for another 5 minutes; gives until when. */
  async extend(deliveryId) {
    const request = { delivery_id: deliveryId }
    return (await this.#again(() => this.#unary(this.#exchange, 'Extend', request))).leased_until
  }

  // -------------------------------------------------------------- statuses

  /**
   * Reports a status ("01" to "16") of a document to agency `to`; gives the receipt of the status
   * package that the axis built. `from` is needed if the system has several agencies.
   *
   * The axis writes the time into the package, so a second report is a second package: after
   * Unreachable look at `cells` before reporting again.
   */
  report(code, documentId, to, { reason = '', from } = {}) {
    const request = { code, document_id: documentId, to, reason, ...(from && { from }) }
    return this.#again(() => this.#unary(this.#status, 'Report', request), false)
  }

  /** The state of a document at each of its receivers. */
  async cells(sender, documentId) {
    const request = { sender, document_id: documentId }
    return (await this.#again(() => this.#unary(this.#status, 'Matrix', request))).cells
  }
}

// ---------------------------------------------------------------- the receiving side's folder

/**
 * A folder into which deliveries are written. A file with its final name is whole, has the
 * announced SHA-256 and is durable; its name is the delivery's id.
 */
class Inbox {
  #folder
  #header
  #part
  #name
  #sum

  static async open(folder) {
    await mkdir(folder, { recursive: true })
    const inbox = new Inbox()
    inbox.#folder = folder
    return inbox
  }

  /** Takes a frame; {header, path} when a delivery is complete. */
  async take({ header, chunk }) {
    if (header) {
      if (!/^[0-9a-f-]{36}$/.test(header.delivery_id)) {
        throw new AxisError(`${header.delivery_id} is no delivery id`) // nothing else becomes a file name
      }
      await this.#part?.close()
      this.#header = header
      this.#sum = createHash('sha256')
      this.#name = join(this.#folder, `${header.delivery_id}.part`)
      this.#part = await open(this.#name, 'w')
      return null
    }
    this.#sum.update(chunk.data)
    await this.#part.writeFile(chunk.data)
    if (!chunk.last) return null
    if (this.#sum.digest('hex') !== this.#header.sha256) {
      throw new AxisError(`${this.#header.delivery_id}: not the announced SHA-256; not settled`)
    }
    const path = join(this.#folder, `${this.#header.delivery_id}.edxml`)
    await keep(this.#part, this.#name, path)
    this.#part = undefined
    return { header: this.#header, path }
  }
}

/**
 * Makes the open file `part` (called `name`) durable under the name `path`: after a power cut
 * either all of it is there or nothing.
 */
export async function keep(part, name, path) {
  await part.sync()
  await part.close()
  await rename(name, path)
  const folder = await open(dirname(path), 'r')
  await folder.sync()
  await folder.close()
}

// ---------------------------------------------------------------- small things

const inSeconds = (seconds) => new Date(Date.now() + seconds * 1000)

/** What is to be said of a delivery once `handle` has seen it. */
async function outcome(handle, { header, path }) {
  const { delivery_id, round } = header
  try {
    await handle(header, path)
    return { delivery_id, round, outcome: 'OUTCOME_ACKNOWLEDGED' }
  } catch (error) {
    if (!(error instanceof CannotRead)) throw error
    return { delivery_id, round, outcome: 'OUTCOME_FAILED', reason: error.message || 'cannot be read' }
  }
}

/**
 * The receipt, if it is for the bytes that were sent. One of a duplicate may be the first push's,
 * whose bytes can differ in To, TraceHeaderList and Signature.
 */
function sameBytes(receipt, sha256) {
  if (receipt.sha256 !== sha256 && !receipt.duplicate) {
    throw new AxisError(`the receipt is for ${receipt.sha256}, sent was ${sha256}`)
  }
  return receipt
}

function worthRepeating(problem, repeatable) {
  if (problem instanceof Refused) {
    const certain = !UNCERTAIN.includes(problem.reason)
    return problem.retryAfter !== undefined && (repeatable || certain)
  }
  return problem instanceof Unreachable && repeatable
}

/** The time that the axis asks for, else ever longer; a little apart from all the others. */
function pause(problem, attempt) {
  const seconds = Math.max(problem.retryAfter ?? 0, Math.min(0.5 * 2 ** attempt, 30))
  return sleep(seconds * 1000 * (1 + 0.3 * Math.random()))
}
