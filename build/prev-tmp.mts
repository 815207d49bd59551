import { buildCommit } from './previous.ts'
console.log(buildCommit(process.argv[2] ?? ''))
