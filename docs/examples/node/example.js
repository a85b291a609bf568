// Every call of axis_client.js, one a subcommand; README.md shows them in order.
//
//     AXIS_SERVER                 http://HOST:PORT or https://HOST:PORT
//     AXIS_SYSTEM, AXIS_KEY       who calls, by key; or
//     AXIS_CERT, AXIS_CERT_KEY    who calls, by certificate (PEM files)
//     AXIS_CA                     the authority of the axis's certificate (PEM file)

import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import { AxisError, CannotRead, Refused, Unreachable, connect, keep } from './axis_client.js'

/** Writes a package with an attachment of so many bytes, to have something to send. */
async function sample(number, size, file) {
  const template = await readFile(new URL('../template.edxml', import.meta.url), 'utf8')
  const attachment = Buffer.from(Array.from({ length: Number(size) }, (_, at) => at % 256)).toString('base64')
  await mkdir(dirname(file), { recursive: true })
  const text = template.replaceAll('@NUMBER@', number).replace('@ATTACHMENT@', attachment)
  await writeFile(file, text)
  console.log(`Đã ghi (written): ${file}, ${Buffer.byteLength(text)} byte`)
}

/** Sends a package of at most 4 MiB. */
async function push(axis, file) {
  await keepReceipt(file, await axis.push(await readFile(file)))
}

/** Sends a package of any size, in chunks. */
async function stream(axis, file) {
  await keepReceipt(file, await axis.pushFile(file))
}

/** The receipt is the proof that the axis has the package: it is kept beside the package. */
async function keepReceipt(file, receipt) {
  const path = `${file}.receipt.json`
  const part = await open(`${path}.part`, 'w')
  await part.writeFile(JSON.stringify(receipt, null, 2) + '\n')
  await keep(part, `${path}.part`, path)
  const again = receipt.duplicate ? ', đã có từ trước (a duplicate)' : ''
  console.log(`Trục đã nhận (accepted): ${file}${again}`)
  console.log(`  gói tin (package) ${receipt.package_id}, SHA-256 ${receipt.sha256}`)
  for (const { agency } of receipt.receivers) console.log(`  → ${agency.code} ${agency.name}`)
  for (const it of receipt.warnings) {
    console.log(`  ! ${it.code} ${it.path}: ${it.message} (${it.message_en})`)
  }
  console.log(`  biên nhận (receipt) ${path}`)
}

/** What a document system does here: bring the file in, unless it has this delivery id. */
async function showDelivery(header, path) {
  if (header.size === 0) throw new CannotRead('empty')
  const { document, status, sender } = header
  const about = status
    ? `trạng thái (status) ${status.code} ${status.label} của (of) ${status.document_id}`
    : `văn bản (document) ${document.number}/${document.notation}`
  console.log(`Nhận (received): ${about}${header.redelivered ? ', gửi lại (redelivered)' : ''}`)
  console.log(`  từ (from) ${sender.code} ${sender.name}, ${header.size} byte`)
  console.log(`  tệp (file) ${path}`)
}

/** Takes what waits and, with --follow, what comes. */
async function subscribe(axis, folder, follow) {
  const taken = await axis.subscribe(folder, showDelivery, { follow: follow === '--follow' })
  console.log(`Hết (nothing more waits); đã nhận (taken): ${taken}`)
}

/** Takes what waits, without an open stream: for a program that runs every few minutes. */
async function fetch(axis, folder) {
  const taken = await axis.fetch(folder, showDelivery)
  console.log(`Hết (nothing more waits); đã nhận (taken): ${taken}`)
}

/** Reports a status of a document to its sender. */
async function report(axis, code, documentId, to, reason = '') {
  const receipt = await axis.report(code, documentId, to, { reason })
  console.log(`Đã báo trạng thái (reported): ${code} của (of) ${documentId}`)
  console.log(`  gói tin (package) ${receipt.package_id} → ${receipt.receivers[0].agency.code}`)
}

/** Shows where a document stands at each of its receivers. */
async function cells(axis, sender, documentId) {
  for (const cell of await axis.cells(sender, documentId)) {
    console.log(`${cell.receiver.code} ${cell.receiver.name}: ${cell.status} ${cell.status_label}`)
  }
}

const USAGE = `node example.js CALL …
  sample NUMBER SIZE FILE               write a package to try with
  push FILE                             send a package of at most 4 MiB
  stream FILE                           send a package of any size
  subscribe FOLDER [--follow]           take what waits and, with --follow, what comes
  fetch FOLDER                          take what waits, without an open stream
  report CODE DOCUMENT_ID TO [REASON]   report a status of a document to its sender
  cells SENDER DOCUMENT_ID              show where a document stands`

const calls = {
  push: [push, 1, 1],
  stream: [stream, 1, 1],
  subscribe: [subscribe, 1, 2],
  fetch: [fetch, 1, 1],
  report: [report, 3, 4],
  cells: [cells, 2, 2]
}

async function main([name, ...args]) {
  if (name === 'sample' && args.length === 3) return sample(...args)
  const [call, least, most] = calls[name] ?? []
  if (!call || args.length < least || args.length > most) return usage(USAGE)
  const { AXIS_SERVER, AXIS_SYSTEM, AXIS_KEY, AXIS_CA, AXIS_CERT, AXIS_CERT_KEY } = process.env
  if (!AXIS_SERVER) return usage('AXIS_SERVER is not set')
  const axis = connect(AXIS_SERVER, {
    system: AXIS_SYSTEM,
    key: AXIS_KEY,
    ca: AXIS_CA,
    cert: AXIS_CERT,
    certKey: AXIS_CERT_KEY
  })
  try {
    await call(axis, ...args)
  } finally {
    axis.close()
  }
}

function usage(text) {
  console.error(text)
  process.exitCode = 2
}

/** Everything that the axis says about a refusal. */
function tell(refused) {
  console.error(`Trục từ chối (refused): ${refused.reason}`)
  console.error(`  ${refused.vietnamese}\n  ${refused.english}`)
  for (const it of refused.faults) console.error(`  - ${it.code} ${it.path}: ${it.english}`)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof Refused) {
    tell(error)
    process.exitCode = 1
  } else if (error instanceof Unreachable) {
    console.error(`Không liên lạc được với trục (unreachable): ${error.message}`)
    process.exitCode = 3
  } else if (error instanceof AxisError || error.code === 'ENOENT') {
    console.error(`axis: ${error.message}`)
    process.exitCode = 1
  } else {
    throw error
  }
}
