package dev.foreword.core

/**
 * Numbers from 0 on and below 1, the same for the same seed on every device, and others every time
 * without one (SplitMix64: Steele, Lea and Flood 2014).
 */
internal class Chance(seed: Long?) {
    private var state = seed ?: (System.nanoTime() xor System.identityHashCode(this).toLong())

    /** Returns the next number. */
    fun next(): Double {
        state += GAMMA
        var mixed = state
        mixed = (mixed xor (mixed ushr 30)) * FIRST
        mixed = (mixed xor (mixed ushr 27)) * SECOND
        return ((mixed xor (mixed ushr 31)) ushr 11) * UNIT
    }

    private companion object {
        const val GAMMA = -0x61c8864680b583ebL
        const val FIRST = -0x40a7b892e31b1a47L
        const val SECOND = -0x6b2fb644ecceee15L
        const val UNIT = 1.0 / (1L shl 53)
    }
}
