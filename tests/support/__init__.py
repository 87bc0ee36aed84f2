"""What tests of several areas share. An area imports from here, never from another area."""
