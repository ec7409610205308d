package dev.foreword.app

import android.content.Context
import android.util.AttributeSet
import android.view.View
import android.view.View.MeasureSpec
import android.view.ViewGroup

/** Lays its children out in a row, and in more rows where one is too narrow for large letters. */
class FlowLayout(context: Context, attributes: AttributeSet?) : ViewGroup(context, attributes) {
    private val gap = (GAP_DP * resources.displayMetrics.density).toInt()

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val width = MeasureSpec.getSize(widthSpec)
        val inner = width - paddingLeft - paddingRight
        val most = MeasureSpec.makeMeasureSpec(inner, MeasureSpec.AT_MOST)
        val any = MeasureSpec.makeMeasureSpec(0, MeasureSpec.UNSPECIFIED)
        shown().forEach { it.measure(most, any) }
        val bottom = place(inner) { _, _, _ -> }
        setMeasuredDimension(width, resolveSize(bottom + paddingTop + paddingBottom, heightSpec))
    }

    override fun onLayout(changed: Boolean, left: Int, top: Int, right: Int, bottom: Int) {
        val inner = right - left - paddingLeft - paddingRight
        val mirrored = layoutDirection == LAYOUT_DIRECTION_RTL
        place(inner) { child, x, y ->
            val from = paddingLeft + if (mirrored) inner - x - child.measuredWidth else x
            val under = paddingTop + y
            child.layout(from, under, from + child.measuredWidth, under + child.measuredHeight)
        }
    }

    /** Tells where each child goes, and returns the height of all. */
    private fun place(inner: Int, put: (View, Int, Int) -> Unit): Int {
        var x = 0
        var y = 0
        var row = 0
        for (child in shown()) {
            if (x > 0 && x + child.measuredWidth > inner) {
                x = 0
                y += row + gap
                row = 0
            }
            put(child, x, y)
            x += child.measuredWidth + gap
            row = maxOf(row, child.measuredHeight)
        }
        return y + row
    }

    private fun shown() = (0 until childCount).map(::getChildAt).filter { it.visibility != GONE }

    private companion object {
        const val GAP_DP = 8
    }
}
