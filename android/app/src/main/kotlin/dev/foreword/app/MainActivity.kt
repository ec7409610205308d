package dev.foreword.app

import android.app.Activity

/** The one screen. */
class MainActivity : Activity()
